#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/rmsnorm/rmsnorm.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Rows of 1024.
void bench_rmsnorm(benchmark::State& state) {
  const std::int64_t rows = state.range(0), dim = 1024;
  const auto x = bench_input<float>(rows * dim, 1), w = bench_input<float>(dim, 2);
  auto residual = bench_input<float>(rows * dim, 3), out = residual;
  for (auto _ : state) {
    // The residual grows by x each time: linear, far from overflow in any number of iterations.
    rmsnorm(RmsNormArgs<float>{x.data(), residual.data(), w.data(), out.data(), rows, dim});
  }
  report_rates(state, 0, 16.0 * static_cast<double>(rows * dim), per_second);
}
BENCHMARK(bench_rmsnorm)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace orrery
