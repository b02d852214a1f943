#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/grouped_gemm/grouped_gemm.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Tokens over 8 experts of 256 x 512, two a token: evenly, or half of all assignments to the first (skewed).
void bench_grouped_gemm(benchmark::State& state) {
  constexpr std::int32_t kExperts = 8, kTopK = 2;
  const std::int64_t tokens = state.range(0), n = 512, k = 256;
  const auto x = bench_input<float>(tokens * k, 1), weights = bench_input<float>(kExperts * n * k, 2);
  std::vector<std::int32_t> ids;
  for (std::int32_t t = 0; t < tokens; ++t) {
    const std::int32_t other = 1 + t % (kExperts - 1);
    ids.push_back(state.range(1) ? 0 : t % kExperts);
    ids.push_back(state.range(1) ? other : (t + kExperts / 2) % kExperts);
  }
  const Routing routing = group_by_expert(ids, kExperts);
  std::vector<float> y(ids.size() * n);
  for (auto _ : state) {
    grouped_gemm(GroupedGemmArgs<float>{.x = x.data(),
                                        .w = weights.data(),
                                        .y = y.data(),
                                        .offsets = routing.offsets.data(),
                                        .source = routing.source.data(),
                                        .experts = kExperts,
                                        .top_k = kTopK,
                                        .n = n,
                                        .k = k});
  }
  report_rates(state, 2.0 * static_cast<double>(tokens * kTopK * n * k), 0, per_second);
}
BENCHMARK(bench_grouped_gemm)->ArgsProduct({{1, 8, 64, 256}, {0, 1}});

/// Choice, grouping and weighted sum of the same.
void bench_routing(benchmark::State& state) {
  constexpr std::int32_t kExperts = 8, kTopK = 2;
  const std::int64_t tokens = state.range(0), n = 256;
  const auto logits = bench_input<float>(tokens * kExperts, 1), y = bench_input<float>(tokens * kTopK * n, 2);
  std::vector<std::int32_t> ids(tokens * kTopK);
  std::vector<float> weights(ids.size()), out(tokens * n);
  for (auto _ : state) {
    route_top_k(RouteArgs<float>{logits.data(), ids.data(), weights.data(), tokens, kExperts, kTopK});
    const Routing r = group_by_expert(ids, kExperts);
    combine_experts(CombineArgs<float>{y.data(), r.place.data(), weights.data(), out.data(), tokens, kTopK, n});
  }
  report_rates(state, 0, 4.0 * static_cast<double>(tokens * n * (kTopK + 1)), per_second);
}
BENCHMARK(bench_routing)->Arg(1)->Arg(64)->Arg(256);

}  // namespace
}  // namespace orrery
