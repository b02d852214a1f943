#include "policies/disaggregation/splitwise.hpp"

#include <gtest/gtest.h>

#include "policies/disaggregation/shortest_queue.hpp"
#include "tests/policies/cluster_builder.hpp"

namespace orrery {
namespace {

/// Instances 0 and 1 take prompts, 2 and 3 tokens; 1000 blocks, 16,000 tokens, each.
ClusterPicture two_and_two() {
  ClusterPicture c;
  c.pool("prompt", Role::kPrefill, 2).pool("token", Role::kDecode, 2);
  return c;
}

void queue(StationLoad& load, int waiting, int prompt_tokens) {
  load.calls = load.waiting = waiting;
  load.prompt_tokens = load.tokens = Tokens{prompt_tokens};
}

void decodes(StationLoad& load, int calls, int tokens) {
  load.calls = calls;
  load.tokens = Tokens{tokens};
}

std::pair<int, int> placed(const Placement& p) {
  EXPECT_EQ(p.kind, Placement::kPlaced);
  return {p.prefill.index, p.decode.index};
}

TEST(Splitwise, BothMachinesAreChosenWhenARequestArrives) {
  ClusterPicture c = two_and_two();
  queue(c.load(0), 3, 3000);
  queue(c.load(1), 4, 2000);   // more requests, fewer tokens: tokens count
  decodes(c.load(2), 2, 9000);
  decodes(c.load(3), 5, 8000);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(100), c, Rng(1, Purpose::kRouter, 0))), std::pair(1, 3));
}

/// Memory that calls on their way will need counts as taken.
TEST(Splitwise, TokenMachinesAreComparedByReservedMemory) {
  ClusterPicture c = two_and_two();
  decodes(c.load(2), 5, 5000);
  decodes(c.load(3), 5, 4000);
  c.at(3).inbound = 1;
  c.at(3).inbound_tokens = Tokens{2000};
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(100), c, Rng(1, Purpose::kRouter, 0))).second, 2);
}

TEST(Splitwise, AQueueOf8192TokensIsNotTooLong) {
  ClusterPicture c = two_and_two();
  queue(c.load(0), 4, 6192);
  queue(c.load(1), 4, 7000);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))).first, 0);
  EXPECT_EQ(c.role(2), Role::kDecode);
}

/// One token more: the token machine with the fewest pending tokens, one a call, is taken into the mixed pool.
TEST(Splitwise, BeyondItATokenMachineIsTaken) {
  ClusterPicture c = two_and_two();
  queue(c.load(0), 4, 6193);
  queue(c.load(1), 4, 7000);
  decodes(c.load(2), 9, 5000);
  decodes(c.load(3), 4, 9000);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))), std::pair(3, 2));
  EXPECT_EQ(c.role(3), Role::kMixed);
  EXPECT_EQ(c.role(2), Role::kDecode);
}

/// A prompt longer than the limit is no queue.
TEST(Splitwise, AnEmptyMachineTakesAPromptOfAnyLength) {
  ClusterPicture c = two_and_two();
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(9000), c, Rng(1, Purpose::kRouter, 0))), std::pair(0, 2));
}

TEST(Splitwise, TheMixedPoolServesBeforeAnotherIsTaken) {
  ClusterPicture c = two_and_two();
  queue(c.load(0), 4, 8000);
  queue(c.load(1), 4, 8000);
  c.at(3).role = Role::kMixed;
  decodes(c.load(3), 50, 9000);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))), std::pair(3, 2));
  EXPECT_EQ(c.role(2), Role::kDecode);
}

/// 16,000 tokens of room: 15,900 and 100 more would fill it, and what would fill it does not go there.
TEST(Splitwise, WithoutTokenMemoryAPromptMachineIsTaken) {
  ClusterPicture c = two_and_two();
  decodes(c.load(2), 9, 15'900);
  decodes(c.load(3), 9, 15'950);
  queue(c.load(0), 1, 500);
  queue(c.load(1), 1, 700);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(84), c, Rng(1, Purpose::kRouter, 0))), std::pair(0, 2));
  const auto [prompt, token] = placed(Splitwise({}).route(c.arriving(100), c, Rng(1, Purpose::kRouter, 0)));
  EXPECT_EQ(prompt, 0);
  EXPECT_EQ(token, 0);   // the prompt machine with the least memory reserved; it runs both phases
  EXPECT_EQ(c.role(0), Role::kMixed);
}

/// No token machine can be taken any more: the least pending of all runs both phases.
TEST(Splitwise, WhereNothingIsLeftOneMachineRunsBothPhases) {
  ClusterPicture c;
  c.pool("prompt", Role::kPrefill, 2).pool("token", Role::kDecode, 1);
  c.at(2).role = Role::kMixed;
  queue(c.load(0), 4, 8000);
  queue(c.load(1), 4, 7800);
  queue(c.load(2), 4, 8100);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))), std::pair(1, 1));
}

TEST(Splitwise, AMixedMachineThatHasDrainedGoesHome) {
  ClusterPicture c = two_and_two();
  c.at(0).role = c.at(3).role = Role::kMixed;
  Splitwise policy({});
  policy.on_idle(StationId{0}, c);
  policy.on_idle(StationId{3}, c);
  EXPECT_EQ(c.role(0), Role::kPrefill);
  EXPECT_EQ(c.role(3), Role::kDecode);
}

TEST(Splitwise, ShortPromptsSendTheirKvAtOnceLongOnesByLayer) {
  ClusterPicture c = two_and_two();
  EXPECT_EQ(Splitwise({}).transfer(c.arriving(511), c), Transfer::kSerialized);
  EXPECT_EQ(Splitwise({}).transfer(c.arriving(512), c), Transfer::kLayerwise);
}

TEST(Splitwise, NobodyServes) {
  ClusterPicture c = two_and_two();
  for (int i = 0; i < 4; ++i) c.at(i).phase = Phase::kOff;
  EXPECT_EQ(Splitwise({}).route(c.arriving(100), c, Rng(1, Purpose::kRouter, 0)).kind, Placement::kHold);
}

/// Its nearest relative leaves token machines alone, however long the prompts wait.
TEST(Splitwise, DiffersFromShortestQueueInTheMachineItTakes) {
  ClusterPicture c = two_and_two();
  queue(c.load(0), 4, 8000);
  queue(c.load(1), 4, 9000);
  decodes(c.load(2), 5, 100);
  decodes(c.load(3), 1, 200);
  EXPECT_EQ(placed(ShortestQueue().route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))).first, 0);
  EXPECT_EQ(placed(Splitwise({}).route(c.arriving(2000), c, Rng(1, Purpose::kRouter, 0))), std::pair(3, 2));
}

}  // namespace
}  // namespace orrery
