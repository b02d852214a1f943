#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/gemm/gemm.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// m, n, k.
template <class T>
void bench_gemm(benchmark::State& state) {
  const std::int64_t m = state.range(0), n = state.range(1), k = state.range(2);
  const auto x = bench_input<T>(m * k, 1), w = bench_input<T>(n * k, 2);
  std::vector<T> y(m * n);
  for (auto _ : state) {
    gemm(GemmArgs<T>{.x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k});
    benchmark::DoNotOptimize(y.data());
  }
  report_rates(state, 2 * static_cast<double>(m * n * k), static_cast<double>(m * k + n * k + m * n) * sizeof(T),
               per_second);
}
BENCHMARK(bench_gemm<float>)->ArgsProduct({{1, 8, 64, 256}, {1024}, {256, 1024}});
BENCHMARK(bench_gemm<Bf16>)->ArgsProduct({{1, 8, 64, 256}, {1024}, {1024}});
BENCHMARK(bench_gemm<double>)->Args({64, 1024, 1024});

}  // namespace
}  // namespace orrery
