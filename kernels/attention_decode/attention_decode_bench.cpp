#include <benchmark/benchmark.h>

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/common/bench.hpp"

namespace orrery {
namespace {

constexpr std::int32_t kHeads = 8, kKvHeads = 2;

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// A pool in which the pages of `sequences` sequences of `tokens` tokens lie in order.
struct Pool {
  Pool(std::int32_t sequences, std::int32_t tokens, std::int32_t page, std::int32_t head_dim)
      : pages((tokens + page - 1) / page), k(bench_input<float>(size(sequences, page, head_dim), 1)), v(k) {
    for (std::int32_t i = 0; i < sequences * pages; ++i) table.push_back(i);
    view = {k.data(), v.data(), table.data(), pages, page, kKvHeads, head_dim};
  }
  std::size_t size(std::int32_t sequences, std::int32_t page, std::int32_t head_dim) const {
    return static_cast<std::size_t>(sequences) * pages * page * kKvHeads * head_dim;
  }
  std::int32_t pages;
  std::vector<float> k, v;
  std::vector<std::int32_t> table;
  PagedKv<float> view;
};

/// Batch, context, page, unified maximum (0 or 1).
void bench_decode(benchmark::State& state) {
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1)),
             d = 64;
  Pool pool(batch, context, static_cast<std::int32_t>(state.range(2)), d);
  const auto q = bench_input<float>(static_cast<std::size_t>(batch) * kHeads * d, 3);
  std::vector<float> out(q.size());
  const std::vector<std::int32_t> length(batch, context);
  const LaunchPlan plan = plan_decode({.contexts = length, .kv_heads = kKvHeads, .block = kKvBlock});
  SplitSpace<float> space(plan, kHeads, d);
  DecodeArgs<float> args;
  args.rows = {.q = q.data(),
               .out = out.data(),
               .kv_len = length.data(),
               .batch = batch,
               .heads = kHeads,
               .kv_heads = kKvHeads,
               .head_dim = d,
               .q_stride = 0,
               .scale = 0.125f,
               .tiles = plan.tiles.data(),
               .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
               .partials = space.partials(),
               .softmax = state.range(3) ? SoftmaxMode::kUnified : SoftmaxMode::kSynchronised,
               .outside = space.outside()};
  args.kv = pool.view;
  for (auto _ : state) attention_decode(args);
  report_rates(state, 4.0 * batch * context * kHeads * d, 8.0 * batch * context * kKvHeads * d, per_second);
}
BENCHMARK(bench_decode)
    ->Args({1, 256, 16, 0})->Args({1, 2048, 16, 0})->Args({16, 256, 16, 0})->Args({16, 2048, 16, 0})
    ->Args({16, 2048, 2048, 0})->Args({16, 2048, 16, 1});

}  // namespace
}  // namespace orrery
