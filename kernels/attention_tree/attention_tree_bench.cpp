#include <benchmark/benchmark.h>

#include "kernels/attention_tree/attention_tree.hpp"
#include "kernels/common/bench.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// A chain of so many drafted nodes behind a context, 8/2 heads of 64.
void bench_tree(benchmark::State& state) {
  constexpr std::int32_t kHeads = 8, kKvHeads = 2, kDim = 64, kPage = 16;
  const auto nodes = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  std::vector<std::int32_t> table;
  for (std::int32_t p = 0; p * kPage < context + nodes; ++p) table.push_back(p);
  auto k = bench_input<float>(table.size() * kPage * kKvHeads * kDim, 1), v = k;
  const auto q = bench_input<float>(static_cast<std::size_t>(nodes) * kHeads * kDim, 2);
  std::vector<float> out(q.size());
  std::vector<std::uint64_t> mask;
  for (std::int32_t i = 0; i < nodes; ++i) mask.push_back((std::uint64_t{2} << i) - 1);
  const std::vector<std::int32_t> offset{0, nodes}, contexts{context};
  const TreeArgs<float> args{.q = q.data(),
                             .out = out.data(),
                             .node_offset = offset.data(),
                             .context = contexts.data(),
                             .mask = mask.data(),
                             .kv = {k.data(), v.data(), table.data(), static_cast<std::int32_t>(table.size()), kPage,
                                    kKvHeads, kDim},
                             .sequences = 1,
                             .heads = kHeads,
                             .scale = 0.125f};
  for (auto _ : state) attention_tree(args);
  report_rates(state, 4.0 * nodes * (context + nodes / 2.0) * kHeads * kDim, 8.0 * context * kKvHeads * kDim,
               per_second);
}
BENCHMARK(bench_tree)->ArgsProduct({{1, 16, 64}, {256, 2048}});

}  // namespace
}  // namespace orrery
