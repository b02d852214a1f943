#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/sampling/sampling.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// 8 rows of 32000 logits; top-k, top-p in percent; 0, 100 is a plain draw.
void bench_sampling(benchmark::State& state) {
  const std::int64_t vocab = 32000, rows = 8;
  const auto logits = bench_input<float>(vocab * rows, 1);
  std::vector<SampleParams> params(rows);
  std::vector<std::int32_t> out(rows);
  std::int64_t position = 0;
  for (SampleParams& p : params) {
    p = {.temperature = 1,
         .top_k = static_cast<std::int32_t>(state.range(0)),
         .top_p = static_cast<float>(state.range(1)) / 100};
  }
  for (auto _ : state) {
    for (SampleParams& p : params) p.position = position;
    ++position;
    sample(SampleArgs<float>{logits.data(), vocab, rows, params.data(), out.data()});
  }
  report_rates(state, 0, 4.0 * static_cast<double>(vocab * rows), per_second);
}
BENCHMARK(bench_sampling)->Args({0, 100})->Args({50, 100})->Args({50, 90})->Args({0, 10});

}  // namespace
}  // namespace orrery
