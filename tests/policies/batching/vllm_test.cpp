#include "policies/batching/vllm.hpp"

#include <gtest/gtest.h>

#include "policies/batching/vllm_v1.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

TEST(Vllm, PromptsGoFirstAndAlone) {
  const Planned plan = planned_by(Vllm({}), Picture().decoding(5, 100).waiting(1000).waiting(1560).waiting(1));
  EXPECT_EQ(plan.decoding, 0);
  EXPECT_EQ(plan.chunks, (Chunks{{5, 1000}, {6, 1560}}));   // 2560, the budget; the next waits
}

TEST(Vllm, APromptLongerThanTheBudgetRunsAlone) {
  EXPECT_EQ(planned_by(Vllm({}), Picture().waiting(4000).waiting(1)).chunks, (Chunks{{0, 4000}}));
}

TEST(Vllm, TheWatermarkIsForAdmissionsNotForDecodes) {
  // 10 blocks free, watermark 2: a prompt of 8 blocks is let in, one of 9 is not (free - need >= watermark).
  EXPECT_EQ(planned_by(Vllm({}), Picture().kv(11, 16, 2).decoding(1, 8).waiting(128)).admitted, (Calls{1}));
  EXPECT_EQ(planned_by(Vllm({}), Picture().kv(11, 16, 2).decoding(1, 8).waiting(129)).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Vllm({}), Picture().kv(2, 16, 2).decoding(1, 16)).decoding, 1);   // takes one of the last two
}

TEST(Vllm, TheLatestIsPreemptedByRecompute) {
  const Planned plan = planned_by(Vllm({}), Picture().kv(3).decoding(3, 16));
  EXPECT_EQ(plan.left, (Departures{{2, Leave::kRecompute}, {1, Leave::kRecompute}}));
  EXPECT_EQ(plan.decoding, 1);
}

TEST(Vllm, SwapWaitsForTheBlocksToLeave) {
  const auto picture = Picture().kv(2).host(100).policy({.preempt = Leave::kSwap}).decoding(2, 16);
  const Planned plan = planned_by(Vllm({}), picture);
  EXPECT_EQ(plan.left, (Departures{{1, Leave::kSwap}}));
  EXPECT_EQ(plan.decoding, 0);   // its block is free when the step has ended
}

TEST(Vllm, HostMemoryIsBookedAcrossSwapsOfOnePlan) {
  // Two must go, 32 tokens each; host memory has room for one.
  const auto picture = Picture().kv(6).host(40).policy({.preempt = Leave::kSwap}).decoding(3, 32);
  EXPECT_EQ(planned_by(Vllm({}), picture).left, (Departures{{2, Leave::kSwap}}));
  const auto tight = Picture().kv(3).host(20).policy({.preempt = Leave::kSwap}).decoding(3, 16);
  EXPECT_EQ(planned_by(Vllm({}), tight).left, (Departures{{2, Leave::kSwap}, {1, Leave::kRecompute}}));
}

TEST(Vllm, SwappedCallsComeBackBeforeAnyPrompt) {
  const Planned plan = planned_by(Vllm({}), Picture().kv(10).swapped(32).decoding(1, 8).waiting(16));
  EXPECT_EQ(plan.resumed, (Calls{0}));
  EXPECT_EQ(plan.decoding, 2);
  EXPECT_TRUE(plan.chunks.empty());
}

TEST(Vllm, NoPromptWhileASwappedCallDoesNotFit) {
  const Planned plan = planned_by(Vllm({}), Picture().kv(4).swapped(64).decoding(1, 8).waiting(16));
  EXPECT_EQ(plan.resumed, (Calls{}));
  EXPECT_EQ(plan.admitted, (Calls{}));
  EXPECT_EQ(plan.decoding, 1);
  EXPECT_EQ(plan.repeat, kForever);
}

TEST(Vllm, AResumedCallDecodesInTheSameStepEvenAlone) {
  const Planned plan = planned_by(Vllm({}), Picture().kv(4).swapped(32));
  EXPECT_EQ(plan.resumed, (Calls{0}));
  EXPECT_EQ(plan.decoding, 1);
}

TEST(Vllm, DiffersFromV1InTheDecodesAPromptStalls) {
  const auto picture = Picture().decoding(5, 100).waiting(1000);
  EXPECT_EQ(planned_by(Vllm({}), picture).decoding, 0);
  EXPECT_EQ(planned_by(VllmV1({}), picture).decoding, 5);
}

}  // namespace
}  // namespace orrery
