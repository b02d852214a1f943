#include "sim/base/launch_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

/// Contexts of 1 .. most tokens, some much longer than others.
std::vector<std::int32_t> ragged(std::size_t n, std::int32_t most, std::string_view name) {
  std::vector<std::int32_t> out;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t r = mix64(salted(name) + i);
    out.push_back(1 + static_cast<std::int32_t>(r % most) / (1 << (r >> 60)));
  }
  return out;
}

/// How often each (sequence, head, KV block) is covered by decode tiles.
std::map<std::tuple<int, int, int>, int> cover(const LaunchPlan& plan) {
  std::map<std::tuple<int, int, int>, int> count;
  for (const LaunchTile& t : plan.tiles)
    for (int b = t.block_begin; b < t.block_end; ++b) ++count[{t.sequence, t.kv_head, b}];
  return count;
}

class DecodePlans : public testing::TestWithParam<SplitRule> {};

TEST_P(DecodePlans, CoverEveryBlockOnce) {
  for (int batch : {1, 2, 7, 40}) {
    const auto contexts = ragged(batch, 9000, "contexts" + std::to_string(batch));
    const DecodeShape shape{
        .contexts = contexts, .kv_heads = 3, .units = 132, .block = 64, .rule = GetParam(), .split_blocks = 4};
    const LaunchPlan plan = plan_decode(shape);
    const auto count = cover(plan);
    std::size_t blocks = 0;
    for (std::int32_t c : contexts) blocks += static_cast<std::size_t>((c + 63) / 64) * 3;
    EXPECT_EQ(count.size(), blocks);
    EXPECT_TRUE(std::all_of(count.begin(), count.end(), [](const auto& c) { return c.second == 1; }));
    EXPECT_EQ(plan.total_blocks, static_cast<std::int64_t>(blocks));
    std::int64_t tiles = 0;
    for (std::int32_t s : plan.splits) tiles += s * 3;
    EXPECT_EQ(static_cast<std::int64_t>(plan.tiles.size()), tiles);
    for (const LaunchTile& t : plan.tiles) {
      EXPECT_EQ(t.splits, plan.splits[t.sequence]);
      EXPECT_LT(t.split, t.splits);
      EXPECT_GT(t.blocks(), 0);                                    // no split is empty
      EXPECT_LE(t.splits, shape.max_splits);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, DecodePlans,
                         testing::Values(SplitRule::kNone, SplitRule::kFixedSize, SplitRule::kFillUnits));

TEST(DecodePlan, TilesAreBounded) {
  for (int batch : {1, 3, 16, 100, 300}) {
    const auto contexts = ragged(batch, 100000, "bounded");
    for (std::int64_t bound : {0, 500, 3000}) {
      const LaunchPlan plan = plan_decode(
          {.contexts = contexts, .kv_heads = 8, .units = 132, .block = 64, .max_splits = 64, .max_tiles = bound});
      const std::int64_t rows = batch * 8;
      EXPECT_LE(static_cast<std::int64_t>(plan.tiles.size()), std::max(rows, bound ? bound : 264));
    }
  }
}

TEST(DecodePlan, OneLongRowDoesNotHoldUpTheBatch) {
  std::vector<std::int32_t> contexts(31, 512);
  contexts.push_back(131072);
  const LaunchPlan whole =
      plan_decode({.contexts = contexts, .kv_heads = 8, .units = 132, .block = 64, .rule = SplitRule::kNone});
  const LaunchPlan split =
      plan_decode({.contexts = contexts, .kv_heads = 8, .units = 132, .block = 64, .max_tiles = 1024});
  EXPECT_EQ(whole.makespan(132), 2048);
  EXPECT_LE(split.makespan(132), 2 * split.total_blocks / 132);
}

TEST(DecodePlan, FixedSizeDependsOnTheRowAlone) {
  const auto contexts = ragged(20, 5000, "fixed");
  const LaunchPlan all = plan_decode({.contexts = contexts, .units = 132, .rule = SplitRule::kFixedSize});
  for (std::size_t s = 0; s < contexts.size(); ++s) {
    const std::vector<std::int32_t> one{contexts[s]};
    const LaunchPlan alone = plan_decode({.contexts = one, .units = 7, .rule = SplitRule::kFixedSize});
    EXPECT_EQ(alone.splits[0], all.splits[s]);
  }
}

/// The example in FlashAttention-3's comment: 48 tiles on 108 processors; 2 splits fill 89 % of the waves, 3 only 67 %.
TEST(SplitsForWaves, AsFlashAttention3) {
  EXPECT_EQ(splits_for_waves(48, 108, 64, 128), 2);
  EXPECT_EQ(splits_for_waves(87, 108, 64, 128), 1);     // 80 % full by themselves
  EXPECT_EQ(splits_for_waves(86, 108, 64, 128), 5);     // 430 of 432; 1 to 4 fill 80 % each
  EXPECT_EQ(splits_for_waves(1, 132, 4, 128), 1);       // four blocks are not worth splitting
  EXPECT_EQ(splits_for_waves(1, 132, 1000, 128), 109);  // 85 % of 128 / 132
  EXPECT_EQ(splits_for_waves(8, 132, 10, 128), 9);      // 72 of 132, at least 85 % of 10 splits' 80
}

TEST(PrefillPlan, EveryRowAndHeadOnceWithItsCausalBlocks) {
  const auto queries = ragged(9, 700, "q"), contexts = ragged(9, 900, "c");
  const LaunchPlan plan =
      plan_prefill({.queries = queries, .contexts = contexts, .kv_heads = 2, .block = 64, .rows = 48});
  std::map<std::tuple<int, int, int>, int> rows;
  for (const LaunchTile& t : plan.tiles) {
    EXPECT_EQ(t.block_end, (contexts[t.sequence] + t.q_end + 63) / 64);
    for (int q = t.q_begin; q < t.q_end; ++q) ++rows[{t.sequence, t.kv_head, q}];
  }
  std::size_t expected = 0;
  for (std::int32_t q : queries) expected += 2 * q;
  EXPECT_EQ(rows.size(), expected);
  EXPECT_TRUE(std::all_of(rows.begin(), rows.end(), [](const auto& r) { return r.second == 1; }));
  EXPECT_TRUE(
      std::is_sorted(plan.tiles.begin(), plan.tiles.end(), [](auto& a, auto& b) { return a.blocks() > b.blocks(); }));
}

TEST(MixedPlan, KeepsAllTilesAndAlternates) {
  const std::vector<std::int32_t> queries{512}, cached{8192};
  const auto contexts = ragged(64, 4000, "mixed");
  const LaunchPlan prefill = plan_prefill({.queries = queries, .contexts = cached, .kv_heads = 8, .rows = 64});
  const LaunchPlan decode = plan_decode({.contexts = contexts, .kv_heads = 8, .units = 132});
  const LaunchPlan mixed = plan_mixed(prefill, decode);
  ASSERT_EQ(mixed.tiles.size(), prefill.tiles.size() + decode.tiles.size());
  EXPECT_EQ(mixed.splits.size(), 65u);
  double seen = 0, decodes = 0;
  const double share = static_cast<double>(decode.tiles.size()) / static_cast<double>(mixed.tiles.size());
  std::size_t i = 0, j = 0;
  for (LaunchTile t : mixed.tiles) {
    ++seen;
    decodes += t.decode;
    EXPECT_NEAR(decodes, share * seen, 1.0);
    if (t.decode) t.sequence -= 1;
    EXPECT_EQ(t, t.decode ? decode.tiles[j] : prefill.tiles[i]);
    ++(t.decode ? j : i);
  }
}

TEST(Plans, MakespanIsWithinGrahamsBound) {
  const auto contexts = ragged(50, 20000, "graham");
  const LaunchPlan plan = plan_decode({.contexts = contexts, .kv_heads = 4, .units = 132});
  for (int units : {1, 2, 7, 132, 1000}) {
    const std::int64_t span = plan.makespan(units), share = (plan.total_blocks + units - 1) / units;
    EXPECT_GE(span, std::max<std::int64_t>(share, plan.longest));
    EXPECT_LE(span, share + plan.longest);
  }
  EXPECT_EQ(plan.makespan(1), plan.total_blocks);
  EXPECT_EQ(plan.waves(132), static_cast<std::int64_t>(plan.tiles.size() + 131) / 132);
}

}  // namespace
}  // namespace orrery
