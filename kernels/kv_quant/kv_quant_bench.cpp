#include <benchmark/benchmark.h>

#include "kernels/common/attention_core.hpp"
#include "kernels/common/bench.hpp"
#include "kernels/kv_quant/fp8_kv.hpp"
#include "kernels/kv_quant/kivi.hpp"

namespace orrery {
namespace {

benchmark::Counter per_second(double x) { return {x, benchmark::Counter::kIsIterationInvariantRate}; }

constexpr std::int32_t kHeads = 8, kKvHeads = 2, kDim = 64;

/// Decode rows of a batch over so much context each.
struct Rows {
  Rows(std::int32_t batch, std::int32_t context)
      : q(bench_input<float>(static_cast<std::size_t>(batch) * kHeads * kDim, 1)), out(q.size()),
        length(batch, context), plan(plan_decode({.contexts = length, .kv_heads = kKvHeads, .block = kKvBlock})),
        space(plan, kHeads, kDim) {
    args = {.q = q.data(),
            .out = out.data(),
            .kv_len = length.data(),
            .batch = batch,
            .heads = kHeads,
            .kv_heads = kKvHeads,
            .head_dim = kDim,
            .q_stride = 0,
            .scale = 0.125f,
            .tiles = plan.tiles.data(),
            .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
            .partials = space.partials()};
  }
  std::vector<float> q, out;
  std::vector<std::int32_t> length;
  LaunchPlan plan;
  SplitSpace<float> space;
  DecodeRows<float> args;
};

std::vector<std::int32_t> pages(std::int32_t n) {
  std::vector<std::int32_t> table(n);
  for (std::int32_t p = 0; p < n; ++p) table[p] = p;
  return table;
}

/// Batch, context.
void bench_fp8_decode(benchmark::State& state) {
  constexpr std::int32_t kPage = 16;
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  Rows rows(batch, context);
  const std::int32_t each = (context + kPage - 1) / kPage;
  const auto table = pages(batch * each);
  std::vector<Fp8> k(table.size() * kPage * kKvHeads * kDim), v(k.size());
  for (std::size_t i = 0; i < k.size(); ++i) k[i] = v[i] = Fp8{static_cast<std::uint8_t>(i * 37 % 0x78)};
  const std::vector<float> scale(kKvHeads, 0.01f);
  const PagedKv<Fp8> kv{k.data(), v.data(), table.data(), each, kPage, kKvHeads, kDim};
  for (auto _ : state) fp8_decode(Fp8DecodeArgs<float>{rows.args, kv, scale.data(), scale.data()});
  report_rates(state, 0, 2.0 * batch * context * kKvHeads * kDim, per_second);
}
BENCHMARK(bench_fp8_decode)->Args({1, 2048})->Args({16, 256})->Args({16, 2048});

/// Batch, context, bits.
void bench_kivi_decode(benchmark::State& state) {
  constexpr std::int32_t kResidual = 32;
  const auto batch = static_cast<std::int32_t>(state.range(0)), context = static_cast<std::int32_t>(state.range(1));
  const auto bits = static_cast<std::int32_t>(state.range(2));
  Rows rows(batch, context);
  const std::int32_t each = (context + kKiviGroup - 1) / kKiviGroup;
  const auto table = pages(batch * each);
  const std::size_t groups = table.size() * kKvHeads * kDim;
  std::vector<std::uint8_t> codes(groups * kKiviGroup * bits / 8);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i * 37);
  constexpr std::uint16_t kHundredth = 0x211F, kMinusTenth = 0xAE66;   // 0.01 and -0.1 in 16 bits
  std::vector<Half> step(groups, Half{kHundredth}), zero(groups, Half{kMinusTenth});
  std::vector<float> recent(static_cast<std::size_t>(batch) * kResidual * kKvHeads * kDim, 0.25f);
  const KiviPool<float> kv{.k_codes = codes.data(),
                           .k_scale = step.data(),
                           .k_zero = zero.data(),
                           .v_codes = codes.data(),
                           .v_scale = step.data(),
                           .v_zero = zero.data(),
                           .k_recent = recent.data(),
                           .v_recent = recent.data(),
                           .table = table.data(),
                           .max_pages = each,
                           .kv_heads = kKvHeads,
                           .head_dim = kDim,
                           .bits = bits,
                           .residual = kResidual};
  for (auto _ : state) kivi_decode(KiviDecodeArgs<float>{rows.args, kv});
  report_rates(state, 0, 2.0 * batch * context * kKvHeads * kDim * (bits / 8.0 + 0.125), per_second);
}
BENCHMARK(bench_kivi_decode)->ArgsProduct({{1, 16}, {2048}, {2, 4}});

}  // namespace
}  // namespace orrery
