#include "policies/batching/sarathi.hpp"

#include <gtest/gtest.h>

#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

/// Three decodes run; call 3 is half prefilled (300 of 400); 4 (200) and 5 (9000) wait.
Picture busy_station() { return Picture().decoding(3, 200).prefilling(400, 300).waiting(200).waiting(9000); }

TEST(Sarathi, SpendsTheBudgetOnDecodesThenOldPrefillsThenNewOnes) {
  const Planned plan = planned_by(Sarathi({.token_budget = 512_tok}), busy_station());
  EXPECT_EQ(plan.decoding, 3);
  EXPECT_EQ(plan.chunks, (Chunks{{3, 100}, {4, 200}, {5, 209}}));   // 3 + 100 + 200 + 209 = 512
  EXPECT_EQ(plan.admitted, (Calls{4, 5}));
}

TEST(Sarathi, DecodesAloneRepeatUntilSomethingHappens) {
  EXPECT_EQ(planned_by(Sarathi({}), Picture().decoding(3, 200)).repeat, kForever);
}

TEST(Sarathi, AdmitsOnlyWithBlocksForTheWholePrompt) {
  const Sarathi sarathi({.token_budget = 64_tok});
  EXPECT_EQ(planned_by(sarathi, Picture().kv(10).waiting(160)).chunks, (Chunks{{0, 64}}));
  EXPECT_EQ(planned_by(sarathi, Picture().kv(10).waiting(161)).chunks,
            (Chunks{}));   // 11 blocks, though 4 would do now
}

TEST(Sarathi, NobodyPassesAHeadThatDoesNotFit) {
  const Planned plan = planned_by(Sarathi({}), Picture().kv(10).waiting(161).waiting(16));
  EXPECT_TRUE(plan.admitted.empty());
}

TEST(Sarathi, TheLatestGivesWayAndNobodyNewPassesIt) {
  // Three members with full last blocks, one free block: the latest leaves with its two, the other two go on.
  const Planned plan = planned_by(Sarathi({}), Picture().kv(7).decoding(3, 32).waiting(16));
  EXPECT_EQ(plan.left, (Departures{{2, Leave::kRecompute}}));
  EXPECT_EQ(plan.decoding, 2);
  EXPECT_TRUE(plan.admitted.empty());
}

TEST(Sarathi, StopsAtMaxRunning) {
  EXPECT_EQ(planned_by(Sarathi({.max_running = 4}), busy_station()).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Sarathi({.max_running = 5}), busy_station()).admitted, (Calls{4}));
}

TEST(Sarathi, TheDynamicChunkShrinksLinearlyInStepsOf32) {
  const Sarathi sarathi(
      {.token_budget = 4096_tok, .dynamic_chunk = true, .chunk_high = 2048_tok, .chunk_low = 512_tok});
  EXPECT_EQ(planned_by(sarathi, Picture().prefilling(8192, 0)).chunks, (Chunks{{0, 2048}}));
  EXPECT_EQ(planned_by(sarathi, Picture().prefilling(8192, 4096)).chunks, (Chunks{{0, 1280}}));   // half way
  EXPECT_EQ(planned_by(sarathi, Picture().prefilling(8192, 2048)).chunks, (Chunks{{0, 1664}}));   // a quarter
  EXPECT_EQ(planned_by(sarathi, Picture().prefilling(8192, 100)).chunks,
            (Chunks{{0, 2016}}));   // 2029.25, down to 32s
}

TEST(Sarathi, DefaultsAreTheAuthorsCode) {
  const SarathiConfig c;
  EXPECT_EQ(c.token_budget, 512_tok);   // chunk_size
  EXPECT_EQ(c.max_running, 128);        // max_num_seqs
}

}  // namespace
}  // namespace orrery
