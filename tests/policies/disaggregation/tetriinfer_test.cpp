#include "policies/disaggregation/tetriinfer.hpp"

#include <gtest/gtest.h>

#include "policies/disaggregation/distserve.hpp"
#include "tests/policies/cluster_builder.hpp"

namespace orrery {
namespace {

using Admission = TetriInferConfig::Admission;

/// Instances 0 and 1 take prompts, 2 and 3 decode; 100 blocks, 1,600 tokens, each.
ClusterPicture two_and_two() {
  ClusterPicture c;
  c.pool("prefill", Role::kPrefill, 2, 100).pool("decode", Role::kDecode, 2, 100);
  return c;
}

TetriInfer live(Admission admission = Admission::kGreedy) {
  return TetriInfer({.admission = admission, .staleness = {}});
}

Rng draw(std::uint64_t n) { return Rng(n, Purpose::kPolicy, 0); }

TEST(TetriInfer, PromptsGoWhereTheLeastPromptWorkIs) {
  ClusterPicture c = two_and_two();
  c.load(0).prompt_tokens = Tokens{600};
  c.load(1).prompt_tokens = Tokens{500};
  const Placement p = live().route(c.arriving(100), c, draw(1));
  EXPECT_EQ(p.prefill, StationId{1});
  EXPECT_FALSE(p.decode.valid());   // decided when the prompt is done
}

/// Instances without a role of their own do both.
TEST(TetriInfer, MixedInstancesKeepWhatTheyCompute) {
  ClusterPicture c;
  c.pool("main", Role::kMixed, 2, 100);
  c.load(0).prompt_tokens = Tokens{600};
  const Placement p = live().route(c.arriving(100), c, draw(1));
  EXPECT_EQ(p.prefill, StationId{1});
  EXPECT_EQ(p.decode, StationId{1});
}

/// A heavy decode joins the instance in which fewer of the decodes are heavy; a bucket from 201 tokens on is heavy.
TEST(TetriInfer, OfTwoInstancesTheOneWithTheSmallerShareOfHeavyDecodes) {
  ClusterPicture c = two_and_two();
  c.decodes(2, 50, 1, 201, 400);
  c.decodes(2, 50, 1, 201, 400);
  c.decodes(2, 50, 1, 1, 200);
  for (int i = 0; i < 4; ++i) c.decodes(3, 50, 1, 1, 200);
  for (std::uint64_t n = 0; n < 20; ++n)
    EXPECT_EQ(live().decode_at(c.arriving(100, 201, 400), StationId{0}, c, draw(n)), StationId{3});
}

/// DistServe looks at tokens alone and takes the other.
TEST(TetriInfer, DiffersFromDistServeInTheDecodesItMixes) {
  ClusterPicture c = two_and_two();
  c.decodes(2, 50, 1, 201, 400);
  c.decodes(3, 50, 1, 1, 200);
  c.load(2).tokens = Tokens{51};
  c.load(3).tokens = Tokens{900};
  const CallId heavy = c.arriving(100, 201, 400);
  EXPECT_EQ(DistServe({}).decode_at(heavy, StationId{0}, c, draw(1)), StationId{2});
  EXPECT_EQ(live().decode_at(heavy, StationId{0}, c, draw(1)), StationId{3});
}

/// Room counts for the prompt and the lower bound of the bucket: 100 + 401 tokens.
TEST(TetriInfer, InstancesWithoutRoomForThePredictionAreLeftOut) {
  ClusterPicture c = two_and_two();
  c.decodes(3, 50, 1, 201, 400);
  c.kv_of(2).free = Blocks{31};   // 496 tokens
  for (std::uint64_t n = 0; n < 20; ++n)
    EXPECT_EQ(live().decode_at(c.arriving(100, 401, 600), StationId{0}, c, draw(n)), StationId{3});
  c.kv_of(2).free = Blocks{32};   // 512
  EXPECT_EQ(live().decode_at(c.arriving(100, 401, 600), StationId{0}, c, draw(1)), StationId{2});
}

TEST(TetriInfer, WithRoomNowhereItWaitsForOneOfAll) {
  ClusterPicture c = two_and_two();
  c.kv_of(2).free = c.kv_of(3).free = Blocks{0};
  EXPECT_TRUE(live().decode_at(c.arriving(100, 401, 600), StationId{0}, c, draw(1)).valid());
}

/// Between broadcasts the picture is old.
TEST(TetriInfer, DispatchesByWhatTheMonitorLastSaw) {
  ClusterPicture c = two_and_two();
  TetriInfer policy({});
  EXPECT_EQ(policy.tick(), Duration{100ms});
  c.decodes(2, 50, 1, 201, 400);
  c.decodes(2, 50, 1, 1, 200);
  c.decodes(3, 50, 1, 1, 200);
  policy.on_tick(c);                 // one of two is heavy, none of one
  c.decodes(2, 50, 1, 1, 200);
  c.decodes(3, 50, 1, 201, 400);
  c.decodes(3, 50, 1, 201, 400);     // one of three, two of three
  const CallId heavy = c.arriving(100, 201, 400);
  EXPECT_EQ(policy.decode_at(heavy, StationId{0}, c, draw(1)), StationId{3});
  policy.on_tick(c);
  EXPECT_EQ(policy.decode_at(heavy, StationId{0}, c, draw(1)), StationId{2});
}

/// 25 blocks, 400 tokens, are free; the call brings 300 and is predicted 201 more at least.
TEST(TetriInfer, GreedyTakesWhatFitsNowReserveStaticWhatWillNeedNoMore) {
  ClusterPicture c = two_and_two();
  c.decodes(2, 1000, 1, 1, 200);
  c.kv_of(2).free = Blocks{25};
  const CallId call = c.arriving(300, 201, 400), shorter = c.arriving(300, 100, 200);
  EXPECT_TRUE(live(Admission::kGreedy).accepts(call, StationId{2}, Tokens{300}, c));
  EXPECT_FALSE(live(Admission::kReserveStatic).accepts(call, StationId{2}, Tokens{300}, c));
  EXPECT_TRUE(live(Admission::kReserveStatic).accepts(shorter, StationId{2}, Tokens{300}, c));
}

/// The shortest of those that run has 61 tokens to go. Until then all three grow by 61, and then its own come back.
TEST(TetriInfer, ReserveDynamicLooksToTheEndOfTheShortest) {
  ClusterPicture c = two_and_two();
  c.decodes(2, 20, 40, 101, 200);     // 61 to go; 60 tokens of context
  c.decodes(2, 500, 1, 401, 600);     // 400 to go
  const CallId call = c.arriving(300, 201, 400);
  c.kv_of(2).free = Blocks{23};       // 368: 300 + 3 * 61 = 483 <= 368 + 60 + 61 = 489
  EXPECT_TRUE(live(Admission::kReserveDynamic).accepts(call, StationId{2}, Tokens{300}, c));
  c.kv_of(2).free = Blocks{22};       // 352: 473
  EXPECT_FALSE(live(Admission::kReserveDynamic).accepts(call, StationId{2}, Tokens{300}, c));
  EXPECT_TRUE(live(Admission::kGreedy).accepts(call, StationId{2}, Tokens{300}, c));
}

TEST(TetriInfer, AnEmptyInstanceTakesAnyCallThatFits) {
  ClusterPicture c = two_and_two();
  EXPECT_TRUE(live(Admission::kReserveStatic).accepts(c.arriving(1500, 801, 1000), StationId{2}, Tokens{1500}, c));
}

/// Instance 1 is idle from 10 s on; decode instances have work. It flips at 70 s, and not before.
TEST(TetriInfer, AnInstanceIdleForAMinuteTakesTheOtherRole) {
  ClusterPicture c = two_and_two();
  for (const int i : {0, 2, 3}) c.load(i).calls = 1;
  TetriInfer policy({});
  c.set_now(Time{} + 10s);
  policy.on_idle(StationId{1}, c);
  c.set_now(Time{} + 69s);
  policy.on_tick(c);
  EXPECT_EQ(c.role(1), Role::kPrefill);
  c.set_now(Time{} + 70s);
  policy.on_tick(c);
  EXPECT_EQ(c.role(1), Role::kDecode);
}

TEST(TetriInfer, TheLastOfARoleKeepsItAndNobodyFlipsForNothing) {
  ClusterPicture c;
  c.pool("prefill", Role::kPrefill, 1).pool("decode", Role::kDecode, 2);
  TetriInfer policy({});
  c.set_now(Time{} + 100s);
  policy.on_tick(c);                 // nobody has work
  EXPECT_EQ(c.role(1), Role::kDecode);
  c.load(1).calls = c.load(2).calls = 1;
  policy.on_tick(c);                 // the only prefill instance is idle
  EXPECT_EQ(c.role(0), Role::kPrefill);
}

Call with_prompt(int tokens) {
  Call c;
  c.prompt = Tokens32{tokens};
  return c;
}

/// Arrivals 0 to 15 make a batch, whatever their length; 16 begins the next.
TEST(TetriInfer, BatchesOfSixteenAreOrderedByTheirPrompts) {
  using By = TetriInferOrderConfig::By;
  const auto keys = [](By by) {
    TetriInferOrder order({.by = by});
    const Call call = with_prompt(1);
    std::vector<std::int64_t> out;
    for (int i = 0; i < 18; ++i) {
      out.push_back(order.key({}, with_prompt(1000 - i), {}, nullptr));
      order.on_event({CallEvent::kArrived, {}, &call, {}, 0});
    }
    return out;
  };
  const auto fcfs = keys(By::kFcfs), sjf = keys(By::kSjf), ljf = keys(By::kLjf);
  EXPECT_EQ(fcfs[0], fcfs[15]);   // ties go by number
  EXPECT_GT(sjf[0], sjf[15]);
  EXPECT_LT(ljf[0], ljf[15]);
  for (const auto& k : {fcfs, sjf, ljf}) EXPECT_LT(std::max(k[0], k[15]), std::min(k[16], k[17]));
}

}  // namespace
}  // namespace orrery
