#include "policies/batching/vllm_v1.hpp"

#include <gtest/gtest.h>

#include "policies/batching/sarathi.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kPerChunk{.reserve = PagedConfig::Reserve::kPerChunk, .watermark = 0};

TEST(VllmV1, RunningCallsFirstThenTheQueueWithinTheBudget) {
  const Planned plan =
      planned_by(VllmV1({.token_budget = 512_tok}),
                 Picture().policy(kPerChunk).decoding(3, 200).prefilling(400, 300).waiting(200).waiting(9000));
  EXPECT_EQ(plan.decoding, 3);
  EXPECT_EQ(plan.chunks, (Chunks{{3, 100}, {4, 200}, {5, 209}}));
}

TEST(VllmV1, AdmitsWithBlocksForTheFirstChunkAlone) {
  const auto picture = Picture().kv(10).policy(kPerChunk).waiting(1600);
  EXPECT_EQ(planned_by(VllmV1({.token_budget = 64_tok}), picture).chunks, (Chunks{{0, 64}}));
}

TEST(VllmV1, DiffersFromSarathiWhichWantsTheWholePrompt) {
  const auto picture = Picture().kv(10).waiting(1600);
  EXPECT_EQ(planned_by(Sarathi({.token_budget = 64_tok}), picture).chunks, (Chunks{}));
}

TEST(VllmV1, APrefillWithoutBlocksPreemptsTheLastRunning) {
  // Call 0 has 32 of 96 tokens in 2 blocks, call 1 one block; 1 block free. The next 32 tokens of call 0 need 2.
  const auto picture =
      Picture().kv(4).policy(kPerChunk).prefilling(96, 32, {.reserved = 32}).decoding(1, 8).waiting(16);
  const Planned plan = planned_by(VllmV1({.token_budget = 33_tok}), picture);
  EXPECT_EQ(plan.left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_EQ(plan.chunks, (Chunks{{0, 32}}));
  EXPECT_EQ(plan.decoding, 0);
  EXPECT_TRUE(plan.admitted.empty());   // nobody new after a preemption
}

TEST(VllmV1, ThePrefillItselfGoesIfItIsTheLast) {
  const auto picture = Picture().kv(4).policy(kPerChunk).decoding(1, 8).prefilling(96, 32, {.reserved = 32});
  const Planned plan = planned_by(VllmV1({.token_budget = 33_tok}), picture);
  EXPECT_EQ(plan.left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_EQ(plan.decoding, 1);
  EXPECT_TRUE(plan.chunks.empty());
}

TEST(VllmV1, TheThresholdCapsEveryPromptsChunk) {
  const VllmV1 v1({.token_budget = 1000_tok, .long_prefill_threshold = 100_tok});
  const auto picture = Picture().policy(kPerChunk).prefilling(5000, 200).waiting(5000).waiting(50);
  EXPECT_EQ(planned_by(v1, picture).chunks, (Chunks{{0, 100}, {1, 100}, {2, 50}}));
}

TEST(VllmV1, ChunksStartAfterThePrefixHit) {
  const auto picture = Picture().policy(kPerChunk).waiting(400, {.cached = 320});
  EXPECT_EQ(planned_by(VllmV1({.token_budget = 512_tok}), picture).chunks, (Chunks{{0, 80}}));
}

}  // namespace
}  // namespace orrery
