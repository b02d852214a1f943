#include <benchmark/benchmark.h>

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/common/bench.hpp"

namespace orrery {
namespace {

constexpr std::int32_t kHeads = 8, kKvHeads = 2;

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// Chunk, cached tokens before it, head size.
void bench_prefill(benchmark::State& state) {
  const auto chunk = static_cast<std::int32_t>(state.range(0)), cached = static_cast<std::int32_t>(state.range(1));
  const auto d = static_cast<std::int32_t>(state.range(2));
  constexpr std::int32_t kPage = 16;
  const std::int32_t pages = (chunk + cached + kPage - 1) / kPage;
  auto k = bench_input<float>(static_cast<std::size_t>(pages) * kPage * kKvHeads * d, 1), v = k;
  std::vector<std::int32_t> table;
  for (std::int32_t p = 0; p < pages; ++p) table.push_back(p);
  const auto q = bench_input<float>(static_cast<std::size_t>(chunk) * kHeads * d, 3);
  std::vector<float> out(q.size());
  const std::vector<std::int32_t> queries{chunk}, context{cached}, offset{0, chunk};
  const LaunchPlan plan =
      plan_prefill({.queries = queries, .contexts = context, .kv_heads = kKvHeads, .block = kKvBlock});
  const PagedKv<float> kv{k.data(), v.data(), table.data(), pages, kPage, kKvHeads, d};
  const PrefillArgs<float> args{.q = q.data(), .out = out.data(), .q_offset = offset.data(), .context = context.data(),
                                .kv = kv, .sequences = 1, .heads = kHeads, .q_stride = 0, .scale = 0.125f,
                                .tiles = plan.tiles.data(), .tile_count = static_cast<std::int64_t>(plan.tiles.size())};
  for (auto _ : state) attention_prefill(args);
  report_rates(state, 4.0 * chunk * (cached + chunk / 2.0) * kHeads * d, 0, per_second);
}
BENCHMARK(bench_prefill)->ArgsProduct({{128, 512}, {0, 1024}, {64, 128}});

}  // namespace
}  // namespace orrery
