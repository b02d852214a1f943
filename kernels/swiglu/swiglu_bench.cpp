#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/swiglu/swiglu.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

void bench_swiglu(benchmark::State& state) {
  const std::int64_t rows = state.range(0), dim = 1024;
  const auto x = bench_input<float>(2 * rows * dim, 1);
  std::vector<float> out(rows * dim);
  for (auto _ : state) swiglu(SwigluArgs<float>{x.data(), out.data(), rows, dim});
  report_rates(state, 0, 12.0 * static_cast<double>(rows * dim), per_second);
}
BENCHMARK(bench_swiglu)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace orrery
