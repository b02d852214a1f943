#include "policies/batching/tgi.hpp"

#include <gtest/gtest.h>

#include "policies/batching/vllm.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kMaxNew{.reserve = PagedConfig::Reserve::kMaxNew, .watermark = 0};
Picture station(int decoding, int waiting, std::int64_t since) {
  Picture p;
  p.policy(kMaxNew).since_admission(since).decoding(decoding, 100, {.reserved = 200});
  for (int i = 0; i < waiting; ++i) p.waiting(50);
  return p;
}

TEST(Tgi, NewcomersInterruptOnlyIfTheyAreThreeTenthsOfTheBatch) {
  EXPECT_EQ(planned_by(Tgi({}), station(10, 2, 5)).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Tgi({}), station(10, 3, 5)).admitted, (Calls{10, 11, 12}));
  EXPECT_EQ(planned_by(Tgi({}), station(10, 3, 5)).decoding, 0);   // prompts alone
}

TEST(Tgi, OrAfterTwentySteps) {
  EXPECT_EQ(planned_by(Tgi({}), station(10, 1, 19)).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Tgi({}), station(10, 1, 20)).admitted, (Calls{10}));
}

TEST(Tgi, AWaitingCallLimitsHowLongThePlanHolds) {
  EXPECT_EQ(planned_by(Tgi({}), station(10, 1, 5)).repeat, 15);
  EXPECT_EQ(planned_by(Tgi({}), station(10, 0, 5)).repeat, kForever);
}

TEST(Tgi, ADecodeFollowsEveryOnboarding) {
  const Planned plan = planned_by(Tgi({}), station(10, 9, 1));
  EXPECT_EQ(plan.decoding, 10);
  EXPECT_EQ(plan.repeat, 1);
}

TEST(Tgi, CountsWhatFitsNotWhatWaits) {
  // Three wait, but only two fit into what max_new leaves free: fewer than 0.3 of 10, so nobody.
  Picture p = station(10, 3, 5).kv(10 * 13 + 2 * 10);   // 200 tokens are 13 blocks; 50 + 100 - 1 are 10
  EXPECT_EQ(planned_by(Tgi({}), p).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Tgi({}), p).decoding, 10);
}

TEST(Tgi, ThePrefillBudgetIsRoundedUpToBlocks) {
  const Tgi tgi({.token_budget = 100_tok});           // 112 with blocks of 16
  EXPECT_EQ(planned_by(tgi, Picture().policy(kMaxNew).waiting(60).waiting(52).waiting(1)).admitted, (Calls{0, 1}));
  EXPECT_EQ(planned_by(tgi, Picture().policy(kMaxNew).waiting(60).waiting(53)).admitted, (Calls{0}));
}

TEST(Tgi, ChunkingMixesAndCutsTheLastPromptToFit) {
  const Tgi tgi({.token_budget = 100_tok, .chunked_prefill = true});
  const Planned plan = planned_by(tgi, station(10, 3, 1));
  EXPECT_EQ(plan.decoding, 10);
  EXPECT_EQ(plan.chunks, (Chunks{{10, 50}, {11, 40}}));   // 10 + 50 + 40
}

TEST(Tgi, DiffersFromVllmWhichInterruptsForAnyPrompt) {
  EXPECT_EQ(planned_by(Vllm({}), station(10, 1, 5)).admitted, (Calls{10}));
}

}  // namespace
}  // namespace orrery
