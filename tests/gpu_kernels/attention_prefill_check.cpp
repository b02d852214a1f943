#include "kernels/attention_prefill/attention_prefill_gpu.hpp"

#include <gtest/gtest.h>

#include "tests/gpu_kernels/prefill_cases.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class PrefillAttention : public GpuCheck {};

TEST_F(PrefillAttention, IsTheReference) {
  const std::vector<PrefillShapeCase> cases = {
      {.shape = {4, 2, 64}, .chunks = {{1, 0, 70}, {2, 100, 3}, {3, 64, 64}, {4, 0, 1}}},
      {.shape = {4, 1, 128}, .chunks = {{1, 0, 33}, {2, 150, 40}}, .page_tokens = 64},
      {.shape = {1, 1, 128}, .chunks = {{1, 130, 130}}, .page_tokens = 48},              // whole tiles of one head
      {.shape = {6, 1, 64}, .chunks = {{1, 10, 50}}, .page_tokens = 1},        // a group of six
      {.shape = {64, 1, 64}, .chunks = {{1, 10, 5}}, .page_tokens = 1000},               // two tokens a tile
      {.shape = {2, 1, 64}, .chunks = {{1, 0, 200}}, .tile_tokens = 150},                // tiles of several turns
  };
  for (const PrefillShapeCase& c : cases) {
    PrefillCase p(c);
    attention_prefill(p.args(), nullptr);
    EXPECT_LT(relative_error(p.out.download(), p.reference()), kBf16Bound)
        << c.shape.heads << '/' << c.shape.kv_heads << " heads of " << c.shape.head_dim;
  }
}

TEST_F(PrefillAttention, ByWarpgroupsIsTheReference) {
  const std::vector<PrefillShapeCase> cases = {
      {.shape = {4, 2, 64}, .chunks = {{1, 0, 70}, {2, 100, 3}, {3, 64, 64}, {4, 0, 1}}},
      {.shape = {4, 1, 128}, .chunks = {{1, 0, 33}, {2, 230, 40}}, .page_tokens = 64},
      {.shape = {1, 1, 128}, .chunks = {{1, 130, 130}}, .page_tokens = 8},               // two blocks under the mask
      {.shape = {6, 1, 64}, .chunks = {{1, 10, 50}, {2, 300, 22}}, .page_tokens = 128},  // rows that no query fills
      {.shape = {64, 1, 64}, .chunks = {{1, 250, 8}}, .page_tokens = 256, .tile_tokens = 4},   // several turns a tile
      {.shape = {2, 2, 128}, .chunks = {{1, 500, 70}, {2, 600, 3}}, .page_tokens = 32},  // more blocks than stages
      {.shape = {4, 1, 64}, .chunks = {{1, 900, 30}, {2, 300, 40}}},
  };
  for (const PrefillShapeCase& c : cases) {
    PrefillCase p(c);
    if (!prefill_warpgroups_can(p.args())) GTEST_SKIP() << "not an sm_90";
    attention_prefill_warpgroups(p.args(), p.offset.back(), nullptr);
    EXPECT_LT(relative_error(p.out.download(), p.reference()), kBf16Bound)
        << c.shape.heads << '/' << c.shape.kv_heads << " heads of " << c.shape.head_dim;
  }
  PrefillCase odd({.shape = {1, 1, 64}, .chunks = {{1, 0, 5}}, .page_tokens = 48});
  EXPECT_FALSE(prefill_warpgroups_can(odd.args()));
}

TEST_F(PrefillAttention, ChunksGiveTheBitsOfThePromptAtOnce) {
  const AttentionShape shape{4, 2, 64};
  PrefillCase whole({.shape = shape, .chunks = {{7, 0, 150}}});
  attention_prefill(whole.args(), nullptr);
  const auto expected = whole.out.download();
  const std::vector<int> cuts = {0, 1, 70, 71, 149, 150};
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
    PrefillCase part({.shape = shape, .chunks = {{7, cuts[i], cuts[i + 1] - cuts[i]}}, .page_tokens = 32});
    attention_prefill(part.args(), nullptr);
    const auto out = part.out.download();
    for (int t = cuts[i]; t < cuts[i + 1]; ++t) {
      ASSERT_TRUE(same_bits(row_of(expected, shape, static_cast<std::size_t>(t)),
                            row_of(out, shape, static_cast<std::size_t>(t - cuts[i])))) << t;
    }
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
