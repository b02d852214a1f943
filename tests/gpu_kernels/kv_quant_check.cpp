#include <gtest/gtest.h>

#include "kernels/kv_quant/kv_quant_gpu.hpp"
#include "tests/gpu_kernels/attention_cases.hpp"

namespace orrery::ORRERY_GPU {
namespace {

/// Rows (tokens, kv_heads, head_dim) of keys (kind 1) or values (kind 2).
template <class T>
std::vector<T> rows_of(AttentionShape shape, int kind, int text, int tokens) {
  const Content content;
  std::vector<T> x;
  for (int t = 0; t < tokens; ++t) {
    for (int h = 0; h < shape.kv_heads; ++h) {
      for (int c = 0; c < shape.head_dim; ++c) {
        const float v = kind == 1 ? content.k(text, t, h, c) : content.v(text, t, h, c);
        x.push_back(to<T>(static_cast<Accum<T>>(v)));
      }
    }
  }
  return x;
}

template <class T>
DeviceBuffer<T> uploaded(const std::vector<T>& host, const char* name) {
  return DeviceBuffer<T>(host, name);
}

/// A pool of KIVI, filled on the host token by token.
template <class T>
struct KiviCase {
  KiviCase(AttentionShape shape, const std::vector<Held>& held, int bits, int residual) {
    const auto width = static_cast<std::size_t>(shape.kv_heads) * static_cast<std::size_t>(shape.head_dim);
    int max_pages = 0;
    for (const Held& h : held) max_pages = std::max(max_pages, (h.tokens + 31) / 32);
    const std::size_t pages = static_cast<std::size_t>(max_pages) * held.size() + 2;
    k_codes = v_codes = poisoned<std::uint8_t>(pages * width * 4 * static_cast<std::size_t>(bits));
    k_scale = k_zero = poisoned<Half>(pages * width);
    v_scale = v_zero = poisoned<Half>(pages * width);
    k_recent = v_recent = poisoned<T>(held.size() * static_cast<std::size_t>(residual) * width);
    for (std::size_t i = 0; i < held.size() * static_cast<std::size_t>(max_pages); ++i) {
      table.push_back(static_cast<std::int32_t>(pages - 1 - i));
    }
    pool = {k_codes.data(), k_scale.data(), k_zero.data(), v_codes.data(), v_scale.data(), v_zero.data(),
            k_recent.data(), v_recent.data(), table.data(), max_pages, shape.kv_heads, shape.head_dim, bits, residual};
    for (std::size_t s = 0; s < held.size(); ++s) {
      const auto k = rows_of<T>(shape, 1, held[s].text, held[s].tokens);
      const auto v = rows_of<T>(shape, 2, held[s].text, held[s].tokens);
      const std::vector<std::int32_t> sequence(static_cast<std::size_t>(held[s].tokens), static_cast<std::int32_t>(s));
      std::vector<std::int32_t> position;
      for (int t = 0; t < held[s].tokens; ++t) position.push_back(t);
      kivi_append(KiviAppendArgs<T>{k.data(), v.data(), sequence.data(), position.data(), pool, held[s].tokens, 0});
    }
  }
  std::vector<std::uint8_t> k_codes, v_codes;
  std::vector<Half> k_scale, k_zero, v_scale, v_zero;
  std::vector<T> k_recent, v_recent;
  std::vector<std::int32_t> table;
  KiviPool<T> pool;
};

struct KiviShape {
  AttentionShape shape;
  int bits, residual;
};

class KiviDecode : public GpuCheck, public testing::WithParamInterface<KiviShape> {};

/// Lengths around every boundary: all recent, a page half old, keys old before their values, many pages; with the
/// longest residual, more recent pages than warps.
TEST_P(KiviDecode, IsTheReference) {
  const auto [shape, bits, residual] = GetParam();
  const std::vector<Held> held = {{1, 1},
                                  {2, residual - 1},
                                  {3, residual},
                                  {4, residual + 1},
                                  {5, 2 * residual},
                                  {6, 2 * residual + 47},
                                  {7, 640 + residual}};
  const KiviCase<double> reference(shape, held, bits, residual);
  const KiviCase<Bf16> host(shape, held, bits, residual);
  ASSERT_EQ(reference.k_codes, host.k_codes);
  ASSERT_EQ(reference.v_codes, host.v_codes);

  const auto k_codes = uploaded(host.k_codes, "key codes"), v_codes = uploaded(host.v_codes, "value codes");
  const auto k_scale = uploaded(host.k_scale, "key scales"), k_zero = uploaded(host.k_zero, "key zeros");
  const auto v_scale = uploaded(host.v_scale, "value scales"), v_zero = uploaded(host.v_zero, "value zeros");
  const auto k_recent = uploaded(host.k_recent, "recent keys"), v_recent = uploaded(host.v_recent, "recent values");
  const auto table = uploaded(host.table, "table");
  KiviPool<Bf16> pool = host.pool;
  pool.k_codes = k_codes.data();
  pool.k_scale = k_scale.data();
  pool.k_zero = k_zero.data();
  pool.v_codes = v_codes.data();
  pool.v_scale = v_scale.data();
  pool.v_zero = v_zero.data();
  pool.k_recent = k_recent.data();
  pool.v_recent = v_recent.data();
  pool.table = table.data();

  for (SplitRule rule : {SplitRule::kFixedSize, SplitRule::kNone}) {
    DecodeCase d({.shape = shape, .held = held, .rule = rule});
    d.rows.softmax = SoftmaxMode::kUnified;                        // takes each row's own maximum all the same
    kivi_decode({d.rows, pool}, nullptr);
    std::vector<double> expected(d.reference_q.size());
    SplitSpace<double> space(d.plan, shape.heads, shape.head_dim);
    orrery::kivi_decode(KiviDecodeArgs<double>{
        {.q = d.reference_q.data(), .out = expected.data(), .kv_len = d.length.data(), .batch = d.rows.batch,
         .heads = shape.heads, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim, .q_stride = 0,
         .scale = shape.scale(), .tiles = d.plan.tiles.data(), .tile_count = d.rows.tile_count,
         .partials = space.partials(), .outside = space.outside()},
        reference.pool});
    EXPECT_LT(relative_error(d.out.download(), expected), kBf16Bound);
    EXPECT_EQ(d.outside.download(), std::vector<std::uint8_t>(d.outside.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, KiviDecode,
                         testing::Values(KiviShape{{4, 1, 128}, 4, 32}, KiviShape{{4, 1, 128}, 2, 64},
                                         KiviShape{{4, 2, 64}, 4, 160}, KiviShape{{4, 2, 64}, 2, 32}));

class Fp8Decode : public GpuCheck, public testing::WithParamInterface<int> {};

TEST_P(Fp8Decode, IsTheReference) {
  const int d_head = GetParam();
  const AttentionShape shape{d_head == 64 ? 4 : 8, 2, d_head};
  const std::vector<Held> held = {{1, 1}, {2, 64}, {3, 65}, {4, 200}, {5, 913}};
  for (int page_tokens : {16, 48}) {
    const SplitRule rule = page_tokens == 16 ? SplitRule::kNone : SplitRule::kFixedSize;
    DecodeCase d({.shape = shape, .held = held, .page_tokens = page_tokens, .rule = rule});
    const PagedKv<Bf16> places = d.host_kv.view();
    std::vector<Fp8> k = poisoned<Fp8>(d.host_kv.k.size()), v = k;
    PagedKv<Fp8> pool{k.data(), v.data(), places.table, places.max_pages, page_tokens, 2, d_head};
    const std::vector<float> k_scale = {0.01f, 1.0f / 256}, v_scale = {1.0f, 0.02f};
    for (std::size_t s = 0; s < held.size(); ++s) {
      const auto keys = rows_of<double>(shape, 1, held[s].text, held[s].tokens);
      const auto values = rows_of<double>(shape, 2, held[s].text, held[s].tokens);
      const std::vector<std::int32_t> sequence(static_cast<std::size_t>(held[s].tokens), static_cast<std::int32_t>(s));
      std::vector<std::int32_t> position;
      for (int t = 0; t < held[s].tokens; ++t) position.push_back(t);
      fp8_append(Fp8AppendArgs<double>{keys.data(), values.data(), sequence.data(), position.data(), pool,
                                       k_scale.data(), v_scale.data(), held[s].tokens, 0});
    }
    std::vector<double> expected(d.reference_q.size());
    SplitSpace<double> space(d.plan, shape.heads, shape.head_dim);
    orrery::fp8_decode(Fp8DecodeArgs<double>{
        {.q = d.reference_q.data(), .out = expected.data(), .kv_len = d.length.data(), .batch = d.rows.batch,
         .heads = shape.heads, .kv_heads = shape.kv_heads, .head_dim = d_head, .q_stride = 0, .scale = shape.scale(),
         .tiles = d.plan.tiles.data(), .tile_count = d.rows.tile_count, .partials = space.partials(),
         .outside = space.outside()},
        pool, k_scale.data(), v_scale.data()});
    const auto k_device = uploaded(k, "keys"), v_device = uploaded(v, "values");
    const auto table = uploaded(d.host_kv.table, "table");
    const auto k_scales = uploaded(k_scale, "key scales"), v_scales = uploaded(v_scale, "value scales");
    pool.k = k_device.data();
    pool.v = v_device.data();
    pool.table = table.data();
    fp8_decode({d.rows, pool, k_scales.data(), v_scales.data()}, nullptr);
    EXPECT_LT(relative_error(d.out.download(), expected), kBf16Bound);
  }
}

INSTANTIATE_TEST_SUITE_P(HeadSizes, Fp8Decode, testing::Values(64, 128));

}  // namespace
}  // namespace orrery::ORRERY_GPU
