#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/gather/gather_rows.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Rows of 1024 out of 32000.
void bench_gather_rows(benchmark::State& state) {
  const std::int64_t rows = state.range(0), dim = 1024, all = 32000;
  const auto from = bench_input<float>(all * dim, 1);
  std::vector<std::int32_t> index;
  for (std::int64_t r = 0; r < rows; ++r) index.push_back(static_cast<std::int32_t>(r * 7919 % all));
  std::vector<float> out(rows * dim);
  for (auto _ : state) gather_rows(GatherArgs<float>{from.data(), index.data(), out.data(), rows, dim});
  report_rates(state, 0, 8.0 * static_cast<double>(rows * dim), per_second);
}
BENCHMARK(bench_gather_rows)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace orrery
