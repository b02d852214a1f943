#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/grouped_gemm/grouped_gemm.hpp"

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

/// Tokens over 8 experts, top 2; the second argument: share of tokens that go to the same two experts, in percent.
void bench_moe(benchmark::State& state) {
  const std::int64_t tokens = state.range(0), n = 512, k = 256;
  std::vector<std::int32_t> ids;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto first = t * 100 < state.range(1) * tokens ? 0 : static_cast<std::int32_t>(t % 4);
    ids.insert(ids.end(), {2 * first, 2 * first + 1});
  }
  const Routing r = group_by_expert(ids, 8);
  const auto x = bench_input<float>(tokens * k, 1), w = bench_input<float>(8 * n * k, 2);
  std::vector<float> y(2 * tokens * n);
  for (auto _ : state) {
    grouped_gemm(GroupedGemmArgs<float>{x.data(), w.data(), y.data(), r.offsets.data(), r.source.data(), 8, 2, n, k});
    benchmark::DoNotOptimize(y.data());
  }
  report_rates(state, 4 * static_cast<double>(tokens * n * k), 0, per_second);
}
BENCHMARK(bench_moe)->ArgsProduct({{1, 64, 512}, {0, 100}});

}  // namespace
}  // namespace orrery
