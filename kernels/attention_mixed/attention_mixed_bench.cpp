#include <benchmark/benchmark.h>

#include "kernels/attention_mixed/attention_mixed.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/common/bench.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// A chunk of 128 behind 256 tokens beside so many decodes over 256, 8/2 heads of 64.
void bench_mixed(benchmark::State& state) {
  constexpr std::int32_t kHeads = 8, kKvHeads = 2, kDim = 64, kPage = 16, kChunk = 128, kContext = 256;
  const auto batch = static_cast<std::int32_t>(state.range(0));
  constexpr std::int32_t kPages = (kChunk + kContext) / kPage;
  std::vector<std::int32_t> table((batch + 1) * kPages);
  for (std::size_t p = 0; p < table.size(); ++p) table[p] = static_cast<std::int32_t>(p);
  auto k = bench_input<float>(table.size() * kPage * kKvHeads * kDim, 1), v = k;
  const auto q = bench_input<float>(static_cast<std::size_t>(kChunk + batch) * kHeads * kDim, 2);
  std::vector<float> out(q.size());
  const std::vector<std::int32_t> queries{kChunk}, context{kContext}, offset{0, kChunk}, length(batch, kContext);
  const LaunchPlan decodes = plan_decode(
      {.contexts = length, .kv_heads = kKvHeads, .block = kKvBlock, .rule = SplitRule::kNone});
  const LaunchPlan plan = plan_mixed(
      plan_prefill({.queries = queries, .contexts = context, .kv_heads = kKvHeads, .block = kKvBlock}), decodes);
  SplitSpace<float> space(decodes, kHeads, kDim);
  const PagedKv<float> kv{k.data(), v.data(), table.data(), kPages, kPage, kKvHeads, kDim};
  MixedArgs<float> args;
  args.tiles = plan.tiles.data();
  args.tile_count = static_cast<std::int64_t>(plan.tiles.size());
  args.prefill = {.q = q.data(), .out = out.data(), .q_offset = offset.data(), .context = context.data(), .kv = kv,
                  .sequences = 1, .heads = kHeads, .q_stride = 0, .scale = 0.125f};
  args.decode.rows = {.q = q.data() + kChunk * kHeads * kDim,
                      .out = out.data() + kChunk * kHeads * kDim,
                      .kv_len = length.data(),
                      .batch = batch,
                      .heads = kHeads,
                      .kv_heads = kKvHeads,
                      .head_dim = kDim,
                      .q_stride = 0,
                      .scale = 0.125f,
                      .partials = space.partials()};
  args.decode.kv = kv;
  args.decode.kv.table += kPages;   // the chunk's table is the first
  for (auto _ : state) attention_mixed(args);
  const double pairs = kChunk * (kContext + kChunk / 2.0) + 1.0 * batch * kContext;
  report_rates(state, 4 * pairs * kHeads * kDim, 0, per_second);
}
BENCHMARK(bench_mixed)->Arg(1)->Arg(16);

}  // namespace
}  // namespace orrery
