#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/copy_blocks/copy_blocks.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Blocks of so many bytes, 16 MiB in all, to scattered places.
void bench_copy_blocks(benchmark::State& state) {
  const std::int64_t block = state.range(0), count = (16 << 20) / block;
  std::vector<char> from(count * block, 1), to(from.size());
  std::vector<std::int64_t> pairs;
  for (std::int64_t b = 0; b < count; ++b) pairs.insert(pairs.end(), {b * 7 % count, b * 11 % count});
  const void* source = from.data();
  void* target = to.data();
  for (auto _ : state) {
    copy_blocks({.source = &source, .target = &target, .tensors = 1, .pairs = pairs.data(), .count = count,
                 .block_bytes = block});
  }
  report_rates(state, 0, 2.0 * static_cast<double>(count * block), per_second);
}
BENCHMARK(bench_copy_blocks)->Arg(4096)->Arg(65536)->Arg(2 << 20);

}  // namespace
}  // namespace orrery
