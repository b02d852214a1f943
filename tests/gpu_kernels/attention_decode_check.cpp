#include "kernels/attention_decode/attention_decode_gpu.hpp"

#include <gtest/gtest.h>

#include "tests/gpu_kernels/attention_cases.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class DecodeAttention : public GpuCheck {};

const std::vector<Held> kBatch = {{1, 1}, {2, 64}, {3, 65}, {4, 200}, {5, 513}};

TEST_F(DecodeAttention, IsTheReference) {
  const std::vector<DecodeShapeCase> cases = {
      {.shape = {4, 2, 64}, .held = kBatch},
      {.shape = {8, 2, 128}, .held = kBatch, .rule = SplitRule::kNone},
      {.shape = {8, 1, 128}, .held = {{5, 700}}, .page_tokens = 64, .rule = SplitRule::kFillUnits},
      {.shape = {3, 1, 64}, .held = kBatch, .page_tokens = 48},                // a page that is no power of two
      {.shape = {2, 2, 64}, .held = {{6, 37}, {7, 131}}, .page_tokens = 1},    // no group
      {.shape = {20, 1, 64}, .held = {{6, 37}, {7, 131}}, .page_tokens = 1000},   // a group of two blocks
  };
  for (const DecodeShapeCase& c : cases) {
    DecodeCase d(c);
    attention_decode(d.args(), nullptr);
    EXPECT_LT(relative_error(d.out.download(), d.reference()), kBf16Bound)
        << c.shape.heads << '/' << c.shape.kv_heads << " heads of " << c.shape.head_dim;
  }
}

TEST_F(DecodeAttention, DoesNotDependOnPagesNorOnTheBatch) {
  const AttentionShape shape{8, 2, 64};
  DecodeCase batch({.shape = shape, .held = kBatch});
  attention_decode(batch.args(), nullptr);
  const auto together = batch.out.download();
  for (std::size_t i = 0; i < kBatch.size(); ++i) {
    DecodeCase alone({.shape = shape, .held = {kBatch[i]}, .page_tokens = 256});
    attention_decode(alone.args(), nullptr);
    const auto out = alone.out.download();
    EXPECT_TRUE(same_bits(row_of(together, shape, i), row_of(out, shape, 0))) << i;
  }
}

TEST_F(DecodeAttention, PartialResultsCarryTheirMass) {
  const AttentionShape shape{4, 2, 64};
  DecodeCase d({.shape = shape, .held = {{5, 300}, {6, 40}}});
  attention_partial(d.args(), nullptr);
  EXPECT_TRUE(same_bits(d.out.download(), poisoned<Bf16>(d.out.size())));
  const auto m = d.partials.m.download(), l = d.partials.l.download();
  for (std::size_t h = 0; h < 4; ++h) {                           // sum over the splits of l exp(m) is that of all keys
    double parts = 0, all = 0;
    for (std::size_t s = 0; s < static_cast<std::size_t>(d.plan.splits[0]); ++s) {
      parts += l[s * 4 + h] * std::exp(double{m[s * 4 + h]});
    }
    for (int t = 0; t < 300; ++t) {
      double score = 0;
      for (int c = 0; c < 64; ++c) {
        score += double{d.host_kv.content.q(5, 299, static_cast<int>(h), c)} *
                 d.host_kv.content.k(5, t, static_cast<int>(h / 2), c);
      }
      all += std::exp(score * shape.scale());
    }
    EXPECT_NEAR(parts / all, 1, 1e-3);
  }
  merge_partials(d.rows, nullptr);
  EXPECT_LT(relative_error(d.out.download(), d.reference()), kBf16Bound);
}

TEST_F(DecodeAttention, UnifiedMaximumEqualsTheSynchronised) {
  DecodeCase d({.shape = {8, 2, 128}, .held = kBatch});
  d.rows.softmax = SoftmaxMode::kUnified;
  d.rows.phi = 1;
  attention_decode(d.args(), nullptr);
  EXPECT_LT(relative_error(d.out.download(), d.reference()), kBf16Bound);
  EXPECT_EQ(d.outside.download(), std::vector<std::uint8_t>(d.outside.size()));
}

/// One key is made so large that its score leaves the band: the rows that see it are computed again, and have the
/// synchronised kernel's bits; the others are left as they are.
TEST_F(DecodeAttention, ForcedOverflowTakesTheSecondPass) {
  const AttentionShape shape{4, 2, 64};
  for (SplitRule rule : {SplitRule::kFixedSize, SplitRule::kNone}) {
    DecodeCase synchronised({.shape = shape, .held = kBatch, .rule = rule});
    DecodeCase unified({.shape = shape, .held = kBatch, .rule = rule});
    for (DecodeCase* d : {&synchronised, &unified}) {
      for (int c = 0; c < 64; ++c) {
        const float large = from(to<Bf16>(400 * d->host_kv.content.q(5, 512, 2, c)));
        d->host_kv.view().key(4, 300, 1)[c] = to<Bf16>(large);
        d->reference_kv.view().key(4, 300, 1)[c] = large;
      }
    }
    unified.rows.softmax = SoftmaxMode::kUnified;
    attention_decode(synchronised.args(), nullptr);
    attention_decode(unified.args(), nullptr);
    const auto a = synchronised.out.download(), b = unified.out.download();
    const auto outside = unified.outside.download();
    EXPECT_EQ(outside[4 * 4 + 2], 1);                             // sequence 4, head 2
    EXPECT_EQ(std::count(outside.begin(), outside.end(), 1), 1 + outside[4 * 4 + 3]);
    EXPECT_TRUE(same_bits(row_of(a, shape, 4).subspan(2 * 64, 64), row_of(b, shape, 4).subspan(2 * 64, 64)));
    EXPECT_LT(relative_error(b, synchronised.reference()), kBf16Bound);
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
