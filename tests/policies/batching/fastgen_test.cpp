#include "policies/batching/fastgen.hpp"

#include <gtest/gtest.h>

#include "policies/batching/sarathi.hpp"
#include "policies/batching/vllm_v1.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kPerChunk{.reserve = PagedConfig::Reserve::kPerChunk, .watermark = 0};

TEST(FastGen, FillsTheForwardPassExactly) {
  const auto picture =
      Picture().policy(kPerChunk).decoding(8, 100).prefilling(900, 600, {.reserved = 600}).waiting(200).waiting(2600);
  const Planned plan = planned_by(FastGen({}), picture);
  EXPECT_EQ(plan.decoding, 8);
  EXPECT_EQ(plan.chunks, (Chunks{{8, 300}, {9, 200}, {10, 260}}));   // 8 + 300 + 200 + 260 = 768
}

/// A prompt of 10 blocks, 4 of them computed; 5 blocks are free. It cannot be finished, so it does not go on, nor
/// does any prompt behind it.
TEST(FastGen, APromptGoesOnOnlyIfAllThatIsLeftFits) {
  const auto picture =
      Picture().kv(10).policy(kPerChunk).decoding(1, 8).prefilling(160, 64, {.reserved = 64}).waiting(16);
  const Planned plan = planned_by(FastGen({.token_budget = 33_tok}), picture);
  EXPECT_EQ(plan.chunks, (Chunks{}));
  EXPECT_EQ(plan.decoding, 1);
  EXPECT_EQ(planned_by(VllmV1({.token_budget = 33_tok}), picture).chunks, (Chunks{{1, 32}}));   // the neighbour goes on
}

TEST(FastGen, DiffersFromSarathiInTheBlocksItTakes) {
  const auto picture = Picture().kv(100).policy(kPerChunk).waiting(1000);
  EXPECT_EQ(planned_by(FastGen({.token_budget = 64_tok}), picture).available, 96);   // 4 blocks, for 64 tokens
  const auto whole = Picture().kv(100).waiting(1000);
  EXPECT_EQ(planned_by(Sarathi({.token_budget = 64_tok}), whole).available, 37);     // 63 blocks, for the prompt
}

TEST(FastGen, OnDeadlockTheLastStartsOver) {
  // Two half-computed prompts hold all blocks and neither can be finished.
  const auto picture =
      Picture().kv(8).policy(kPerChunk).prefilling(128, 64, {.reserved = 64}).prefilling(128, 64, {.reserved = 64});
  const Planned plan = planned_by(FastGen({}), picture);
  EXPECT_EQ(plan.left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_TRUE(plan.chunks.empty());
}

}  // namespace
}  // namespace orrery
