#include <benchmark/benchmark.h>

#include "kernels/common/bench.hpp"
#include "kernels/rope_append/rope_append.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

/// A chunk of so many tokens, 8/2 heads of 64, pages of 16 in order.
void bench_rope_append(benchmark::State& state) {
  constexpr std::int32_t kHeads = 8, kKvHeads = 2, kDim = 64, kPage = 16;
  const std::int64_t tokens = state.range(0), stride = (kHeads + 2 * kKvHeads) * kDim;
  auto qkv = bench_input<float>(tokens * stride, 1);
  std::vector<std::int32_t> sequence(tokens), position(tokens), table;
  for (std::int32_t t = 0; t < tokens; ++t) position[t] = t;
  for (std::int32_t p = 0; p * kPage < tokens; ++p) table.push_back(p);
  std::vector<float> k(table.size() * kPage * kKvHeads * kDim), v(k.size());
  const RopeTable<float> rope(tokens, kDim, 500000);
  const RopeAppendArgs<float> args{.q = qkv.data(),
                                   .k = qkv.data() + kHeads * kDim,
                                   .v = qkv.data() + (kHeads + kKvHeads) * kDim,
                                   .sequence = sequence.data(),
                                   .position = position.data(),
                                   .kv = {k.data(), v.data(), table.data(), static_cast<std::int32_t>(table.size()),
                                          kPage, kKvHeads, kDim},
                                   .cosine = rope.cosine(),
                                   .sine = rope.sine(),
                                   .tokens = tokens,
                                   .heads = kHeads,
                                   .stride = stride};
  for (auto _ : state) rope_append(args);   // turns the same rows on and on: lengths stay as they are
  report_rates(state, 0, 4.0 * static_cast<double>(tokens) * kDim * (2 * kHeads + 4 * kKvHeads), per_second);
}
BENCHMARK(bench_rope_append)->Arg(1)->Arg(64)->Arg(1024);

}  // namespace
}  // namespace orrery
