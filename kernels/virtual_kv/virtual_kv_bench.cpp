#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/virtual_kv/virtual_kv.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Page groups of 64 kB behind a sequence in two layers, mapped and given back.
void bench_mapping(benchmark::State& state) {
  const std::int64_t blocks = state.range(0);
  VirtualKv pool({.layers = 2,
                  .slots = 1,
                  .max_tokens = blocks * 128,
                  .kv_heads = 2,
                  .head_dim = 64,
                  .page_groups = 4 * blocks});
  for (auto _ : state) {
    const int slot = pool.acquire(1);
    benchmark::DoNotOptimize(pool.ensure(slot, blocks * pool.block_tokens()));
    pool.release(slot);
    pool.reclaim();
  }
  state.counters["groups"] = per_second(4.0 * static_cast<double>(blocks));
}
BENCHMARK(bench_mapping)->Arg(1)->Arg(16);

}  // namespace
}  // namespace orrery
