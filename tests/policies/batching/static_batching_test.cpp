#include "policies/batching/static_batching.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

TEST(StaticBatching, TakesABatchAndPadsItsPrompts) {
  const Planned plan = planned_by(StaticBatching({.max_running = 2}), Picture().waiting(10).waiting(100).waiting(5));
  EXPECT_EQ(plan.chunks, (Chunks{{0, 10}, {1, 100}}));
  EXPECT_EQ(plan.padding.prefill, 90_tok);
  EXPECT_EQ(plan.padding.pairs, 5000 - 50);   // 100 * 100 / 2 instead of 10 * 10 / 2
}

TEST(StaticBatching, NobodyJoinsARunningBatch) {
  const auto picture = Picture().decoding(1, 50).waiting(10);
  const Planned plan = planned_by(StaticBatching({}), picture);
  EXPECT_EQ(plan.decoding, 1);
  EXPECT_TRUE(plan.admitted.empty());
  EXPECT_EQ(plan.repeat, kForever);
  EXPECT_EQ(planned_by(Orca({}), picture).admitted, (Calls{1}));   // the nearest neighbour lets it in
}

TEST(StaticBatching, FinishedRowsAndShortPromptsArePadding) {
  // Prompts of 20 and 50 decode (contexts 24, 54 after five tokens), one of 30 is done: three rows of 54 + 1.
  const auto picture =
      Picture().decoding(1, 24, {.emitted = 5}).decoding(1, 54, {.emitted = 5}).held(30, {.emitted = 3});
  const Planned plan = planned_by(StaticBatching({}), picture);
  EXPECT_EQ(plan.padding.decodes, 1_tok);
  EXPECT_EQ(plan.padding.decode_context, Tokens{3 * 55 - (25 + 55)});
}

TEST(StaticBatching, TheNextBatchWaitsForTheAnswersOfTheLast) {
  EXPECT_TRUE(planned_by(StaticBatching({}), Picture().held(30).waiting(10)).admitted.empty());
  EXPECT_TRUE(StaticBatching({}).returns_whole_batch());
}

}  // namespace
}  // namespace orrery
