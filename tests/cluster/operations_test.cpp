/// Failures, slow replicas, networks that degrade, rolling restarts, and rules that scale a pool.
#include <gtest/gtest.h>

#include "policies/routing/round_robin.hpp"
#include "sim/engine/operations.hpp"
#include "sim/engine/scaler.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// One request a second of 30 ms, taken in turns by the instances.
std::string one_a_second(int stations, int requests) {
  std::string text = "engine batching=sarathi stations=" + std::to_string(stations) +
                     " kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n";
  for (int i = 0; i < requests; ++i)
    text += "t=" + std::to_string(i) + "s r" + std::to_string(i) + " prompt=10 out=2\n";
  return text;
}

ClusterParts in_turns(RoundRobin& router, std::int32_t count) {
  ClusterParts c;
  c.router = &router;
  PoolParts pool{.name = "main", .count = count};
  for (std::int32_t i = 0; i < count; ++i) pool.node_of.push_back(i / 2);
  c.pools = {pool};
  return c;
}

struct Operated {
  ClusterRun run;
  std::vector<Incident> incidents;
};

Operated operate(const std::string& text, std::int32_t count, std::vector<Operation> what, bool fast_forward = true) {
  RoundRobin router({});
  Operations operations(std::move(what), 1);
  ClusterParts c = in_turns(router, count);
  c.controllers = {&operations};
  Operated o;
  o.run = run_cluster(text, c, fast_forward);
  o.incidents = operations.incidents();
  return o;
}

TEST(Operations, ARouterInAClusterDoesAsItDoesWithoutOne) {
  const auto o = operate(one_a_second(2, 10), 2, {});
  for (const auto& [number, row] : o.run.rows) {
    EXPECT_EQ(row.station.index, static_cast<std::int32_t>(number % 2));
    EXPECT_EQ(row.finish, row.arrival + 30ms);
  }
}

/// Instance 0 fails at 5.5 s, which is noticed at 15.5 s: 6, 8, 10, 12 and 14 are sent there and wait until then; from
/// then on instance 1 takes all. The cause ends at 25.5 s, and 3 s later the instance serves.
TEST(Operations, AFailureThatNobodyNotices) {
  const auto o = operate(
      one_a_second(2, 40), 2,
      {{.kind = Operation::kFail, .at = at(5500ms), .which = {0}, .lasts = 20s, .start_delay = 3s, .detect = 10s}});
  ASSERT_EQ(o.incidents.size(), 1U);
  const Incident& i = o.incidents.front();
  EXPECT_EQ(i.at, at(5500ms));
  EXPECT_EQ(i.detected, at(15500ms));
  EXPECT_EQ(i.ended, at(28500ms));
  EXPECT_EQ(i.calls, 5);
  for (const auto& [number, row] : o.run.rows) {
    const bool waited = number > 5 && number < 16 && number % 2 == 0;
    EXPECT_EQ(row.first_schedule >= at(15500ms), waited || number >= 16) << number;
    if (!waited) {
      EXPECT_EQ(row.finish, row.arrival + 30ms) << number;
    }
    const bool alone = number > 5 && number < 29;   // five were routed twice, so turns have changed since
    EXPECT_EQ(row.station.index, alone ? 1 : static_cast<std::int32_t>((number + (number > 5)) % 2)) << number;
    EXPECT_EQ(row.status, Status::kDone);
  }
}

/// A call under way keeps the tokens it has: with 4 of 20 out when its instance fails, it needs 16 more elsewhere.
TEST(Operations, WhatAFailureTakesIsComputedAgain) {
  const std::string text = "engine batching=sarathi stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n"
                           "t=0s a prompt=10 out=20\n";
  const Operation fail{.kind = Operation::kFail, .at = at(55ms), .which = {0}};
  auto o =
      operate(text, 2, {fail});  // tokens at 20, 30, 40, 50 ms; again from 55 ms: 14 tokens to compute, then 15 steps
  EXPECT_EQ(o.run.rows.at(0).finish, at(55ms + 24ms + 150ms));
  EXPECT_EQ(o.incidents.front().calls, 1);
  Operation restart = fail;
  restart.calls = Move::kRestart;
  o = operate(text, 2, {restart});
  EXPECT_EQ(o.run.rows.at(0).finish, at(55ms + 20ms + 190ms));
}

/// A failed instance that is drained before anybody notices is off; when it serves again, it is as good as new.
class DrainsAt final : public ClusterController {
 public:
  std::string_view name() const override { return "test"; }
  Time next() const override { return next_; }
  void run(ClusterEngine& c) override {
    next_ = kNever;
    c.drain(StationId{0});
  }

 private:
  Time next_ = at(6s);
};

TEST(Operations, AFailedInstanceThatIsDrainedComesBackWhole) {
  RoundRobin router({});
  Operations operations({{.kind = Operation::kFail, .at = at(5500ms), .which = {0}, .lasts = 3s, .detect = 5s}}, 1);
  DrainsAt drains;
  ClusterParts c = in_turns(router, 2);
  c.controllers = {&operations, &drains};
  const auto run = run_cluster(one_a_second(2, 20), c);
  for (const auto& [number, row] : run.rows) EXPECT_EQ(row.finish, row.arrival + 30ms) << number;
  EXPECT_EQ(operations.incidents().front().ended, at(8500ms));
}

TEST(Operations, OfAMachineAllInstancesFail) {
  const auto o =
      operate(one_a_second(4, 20), 4, {{.kind = Operation::kFail, .at = at(5500ms), .nodes = true, .count = 1}});
  EXPECT_EQ(o.incidents.front().instances, 2);
  EXPECT_EQ(o.incidents.front().ended, kNever);
  for (const auto& [number, row] : o.run.rows)
    EXPECT_EQ(row.station.index >= 2, number > 5 || number % 4 >= 2) << number;
}

/// From 2.5 s until 4.5 s, what the instance begins takes three times as long.
TEST(Operations, AReplicaIsSlowForAWhile) {
  const auto o = operate(one_a_second(1, 7), 1,
                         {{.kind = Operation::kSlow, .at = at(2500ms), .lasts = 2s, .per_mille = 3000}});
  for (const auto& [number, row] : o.run.rows)
    EXPECT_EQ(row.finish - row.arrival, number == 3 || number == 4 ? Duration{90ms} : Duration{30ms}) << number;
  EXPECT_EQ(o.incidents.front().ended, at(4500ms));
  EXPECT_EQ(o.incidents.front().detected, kNever);
}

TEST(Operations, ARollingRestartTakesOneAtATime) {
  const auto o = operate(one_a_second(3, 40), 3, {{.kind = Operation::kRestart, .at = at(5500ms), .start_delay = 2s}});
  EXPECT_EQ(o.incidents.front().instances, 3);
  EXPECT_EQ(o.incidents.front().ended, at(11500ms));
  for (const auto& [number, row] : o.run.rows) EXPECT_EQ(row.finish, row.arrival + 30ms) << number;
  for (int s = 0; s < 3; ++s) {   // draining and off at 5.5, 7.5 and 9.5 s
    const std::string off = duration_text(5500ms + s * 2s) + " engine: off at " + std::to_string(s);
    EXPECT_TRUE(std::any_of(o.run.actions.begin(), o.run.actions.end(), [&](const std::string& a) {
      return a.starts_with(off);
    })) << off;
  }
}

/// A call that would take 1 s keeps its instance for the 200 ms that a drain may last, and begins again elsewhere.
TEST(Operations, ADrainThatTakesTooLongEnds) {
  const std::string text = "engine batching=sarathi stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n"
                           "t=0s a prompt=10 out=99\nt=2s b prompt=10 out=2\n";
  const auto o = operate(
      text, 2, {{.kind = Operation::kRestart, .at = at(100ms), .which = {0}, .lasts = 200ms, .start_delay = 1s}});
  EXPECT_EQ(o.run.rows.at(0).preemptions, 1);
  EXPECT_EQ(o.incidents.front().ended, at(1300ms));
}

/// Mean 20 s over 4,000 s: 200 failures, within three standard deviations of the Poisson law. When they come is the
/// seed's alone; whom they hit depends on who serves.
TEST(Operations, FailuresByChanceAreAPoissonProcess) {
  const Operation by_chance{.kind = Operation::kFail, .every = 20s, .count = 1, .lasts = 5s, .start_delay = 1s};
  const auto two = operate(one_a_second(2, 4000), 2, {by_chance}),
             four = operate(one_a_second(4, 4000), 4, {by_chance});
  EXPECT_NEAR(static_cast<double>(four.incidents.size()), 200, 3 * 14.2);
  std::size_t found = 0;
  for (const Incident& i : four.incidents) {
    found += std::any_of(two.incidents.begin(), two.incidents.end(), [&](const Incident& j) { return j.at == i.at; });
    EXPECT_TRUE(i.ended == kNever || i.ended == i.at + 6s);
  }
  EXPECT_GT(found, four.incidents.size() * 8 / 10);   // two instances may both be down already
}

TEST(Operations, FastForwardOrStepByStep) {
  const std::vector<Operation> all = {{.kind = Operation::kFail, .every = 7s, .lasts = 3s, .detect = 1s},
                                      {.kind = Operation::kSlow, .at = at(4s), .lasts = 5s, .per_mille = 1700},
                                      {.kind = Operation::kRestart, .at = at(20s), .lasts = 1s}};
  std::string text = "engine batching=sarathi stations=3 kv_blocks=60 block=16  cost: 10ms + 1ms*prefill\n";
  for (int i = 0; i < 200; ++i)
    text += "t=" + std::to_string(i * 217) + "ms r" + std::to_string(i) +
            " prompt=90 out=" + std::to_string(20 + i % 70) + "\n";
  const auto fast = operate(text, 3, all, true), stepped = operate(text, 3, all, false);
  EXPECT_EQ(fast.run.outcome.fingerprint, stepped.run.outcome.fingerprint) << first_difference(fast.run, stepped.run);
  EXPECT_EQ(fast.run.outcome.summary.broken, std::vector<std::string>{});
  EXPECT_LT(fast.run.outcome.events, stepped.run.outcome.events);
}

/// 1.7 times 333 ps a token of context is no whole number of picoseconds: the line of a slow instance is one all the
/// same.
TEST(Operations, ASlowInstanceIsOnItsLineWhateverItsTimes) {
  const std::vector<Operation> slow = {{.kind = Operation::kSlow, .at = at(15ms), .per_mille = 1700}};
  std::string text =
      "engine batching=sarathi stations=1 kv_blocks=600 block=16  cost: 10ms + 1ms*prefill + 333ps*context\n";
  for (int i = 0; i < 20; ++i)
    text += "t=" + std::to_string(i * 117) + "ms r" + std::to_string(i) + " prompt=31 out=50\n";
  const auto fast = operate(text, 1, slow, true), stepped = operate(text, 1, slow, false);
  EXPECT_EQ(fast.run.outcome.fingerprint, stepped.run.outcome.fingerprint) << first_difference(fast.run, stepped.run);
  EXPECT_LT(fast.run.outcome.events, stepped.run.outcome.events);
  const auto usual = operate(text, 1, {}, true);
  EXPECT_GT(fast.run.rows.at(19).finish, usual.run.rows.at(19).finish + 300ms);
}

/// Wants what it is told, by time; remembers what it saw.
class Told final : public ScalingRule {
 public:
  std::int32_t desired(const PoolState& s, Time) override {
    seen.push_back(s);
    return s.at < at(2500ms) ? 1 : s.at < at(5500ms) ? 9 : 2;
  }
  std::vector<PoolState> seen;
};

/// Asked every second about the second before. Two serve at the start; one of them drains at 1 s (the first answer that
/// is known), at 4 s as many as there are may serve, four, 1.5 s later; at 7 s two of them drain again.
TEST(Scaler, StartsAndDrainsWhatItsRuleSays) {
  RoundRobin router({});
  Told rule;
  Scaler scaler(
      {.rule = &rule, .pool = PoolId{0}, .least = 1, .most = 4, .every = 1s, .lag = 1s, .start_delay = 1500ms});
  ClusterParts c = in_turns(router, 4);
  c.pools.front().serving = 2;
  c.controllers = {&scaler};
  const auto run = run_cluster(one_a_second(4, 12), c);
  const auto when = [&](const std::string& what) {
    for (const std::string& a : run.actions)
      if (a.find(what) != std::string::npos) return a.substr(0, a.find(' '));
    return std::string("never");
  };
  EXPECT_EQ(when("scaling: draining at 1"), duration_text(1s));
  EXPECT_EQ(when("scaling: provisioning at 1"), duration_text(4s));
  EXPECT_EQ(when("engine: serving at 3"), duration_text(5500ms));
  EXPECT_EQ(when("scaling: draining at 3"), duration_text(7s));
  EXPECT_EQ(when("scaling: draining at 2"), duration_text(7s));
  ASSERT_GT(rule.seen.size(), 8U);
  EXPECT_EQ(rule.seen[0].at, at(0s));
  EXPECT_EQ(rule.seen[0].serving, 2);
  EXPECT_EQ(rule.seen[5].starting, 3);
  EXPECT_DOUBLE_EQ(rule.seen[3].arrivals_per_s, 1);
  for (const auto& [number, row] : run.rows) EXPECT_EQ(row.status, Status::kDone);
}

}  // namespace
}  // namespace orrery
