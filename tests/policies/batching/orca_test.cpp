#include "policies/batching/orca.hpp"

#include <gtest/gtest.h>

#include "policies/batching/sarathi.hpp"
#include "policies/batching/vllm.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

TEST(Orca, MixesWholePromptsWithDecodes) {
  const Planned plan = planned_by(Orca({.max_running = 8}), Picture().decoding(2, 100).waiting(3000).waiting(10));
  EXPECT_EQ(plan.decoding, 2);
  EXPECT_EQ(plan.chunks, (Chunks{{2, 3000}, {3, 10}}));
}

TEST(Orca, SelectStopsAtMaxBs) {
  const Planned plan = planned_by(Orca({.max_running = 3}), Picture().decoding(2, 100).waiting(10).waiting(10));
  EXPECT_EQ(plan.admitted, (Calls{2}));
}

TEST(Orca, SelectStopsAtTheFirstReservationThatDoesNotFit) {
  // Each call reserves prompt + max_tokens - 1 (here with paged blocks of one token): 30 of 100 slots taken, 110
  // wanted.
  const auto picture = Picture()
                           .kv(100, 1)
                           .policy({.reserve = PagedConfig::Reserve::kMaxNew})
                           .decoding(1, 20, {.reserved = 30})
                           .waiting(11, {.max_tokens = 100})
                           .waiting(5, {.max_tokens = 5});
  EXPECT_TRUE(planned_by(Orca({}), picture).admitted.empty());
}

TEST(Orca, DiffersFromSarathiInThePromptItRunsWhole) {
  const auto picture = Picture().decoding(2, 100).waiting(3000);
  EXPECT_EQ(planned_by(Orca({}), picture).chunks, (Chunks{{2, 3000}}));
  EXPECT_EQ(planned_by(Sarathi({}), picture).chunks, (Chunks{{2, 510}}));
}

TEST(Orca, DiffersFromVllmInTheDecodesThatRunBesideThePrompt) {
  const auto picture = Picture().decoding(2, 100).waiting(3000);
  EXPECT_EQ(planned_by(Orca({}), picture).decoding, 2);
  EXPECT_EQ(planned_by(Vllm({.token_budget = 4096_tok}), picture).decoding, 0);
}

TEST(Orca, DecodesAloneRepeat) { EXPECT_EQ(planned_by(Orca({}), Picture().decoding(2, 9)).repeat, kForever); }

}  // namespace
}  // namespace orrery
