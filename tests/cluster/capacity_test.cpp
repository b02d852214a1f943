/// Nodes that come and go under instances, and calls that keep their KV while no instance has them.
#include <gtest/gtest.h>

#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

constexpr const char* kEngine = "engine batching=sarathi stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n";

/// The first instance that takes calls.
class First : public ClusterPolicy {
 public:
  Placement route(CallId, Cluster& c, Rng) override {
    for (const Instance& x : c.instances())
      if (x.takes_calls()) return Placement::at(x.station);
    return Placement::hold();
  }
};

/// Stops instance 0 at `when`, and instance 1 serves `delay` later.
class Switch final : public First {
 public:
  Switch(Duration when, Duration delay, Move calls) : when_(when), delay_(delay), calls_(calls) {}
  Duration tick() const override { return when_; }
  void on_tick(Cluster& c) override {
    if (c.now() != at(when_)) return;
    c.stop(StationId{0}, calls_);
    c.start(StationId{1}, delay_, Phase::kMigrating);
  }

 private:
  Duration when_, delay_;
  Move calls_;
};

ClusterParts one_pool(ClusterPolicy& policy) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "main", .count = 2, .serving = 1}};
  return c;
}

/// 100 prompt tokens by 110 ms, then a token every 10 ms: four by 140 ms. The iteration under way at 145 ms is lost.
/// From 245 ms the other six take 10 ms each, without the prompt.
TEST(Commit, ACallGoesOnWithTheKvItHad) {
  Switch policy(145ms, 100ms, Move::kCommit);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=10\n", one_pool(policy));
  const Row& a = run.rows.at(0);
  EXPECT_EQ(a.finish, at(245ms + 60ms));
  EXPECT_EQ(a.first_token, at(110ms));
  EXPECT_EQ(a.decode_station, StationId{1});
  EXPECT_EQ(a.migrations, 1);
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 0);
  EXPECT_EQ(run.outcome.summary.tokens.computed, 109);
}

/// The same with KV that is lost: its 104 tokens are computed again.
TEST(Commit, DiffersFromRecomputing) {
  Switch policy(145ms, 100ms, Move::kRecompute);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=10\n", one_pool(policy));
  EXPECT_EQ(run.rows.at(0).finish, at(245ms + 114ms + 50ms));
}

/// A prompt that is not done has no KV worth keeping.
TEST(Commit, APromptThatIsNotDoneBeginsAgain) {
  Switch policy(105ms, 100ms, Move::kCommit);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=2\n", one_pool(policy));
  EXPECT_EQ(run.rows.at(0).first_token, at(205ms + 110ms));
}

/// Room for one of two: the older call lands at once, the other when there is room for it, and neither computes again.
TEST(Commit, WaitsForRoom) {
  const std::string engine = "engine batching=sarathi stations=2 kv_blocks=20 block=16 cost: 10ms + 1ms*prefill\n";
  Switch policy(300ms, 100ms, Move::kCommit);
  ClusterParts parts = one_pool(policy);
  auto run = run_cluster(engine + "t=0ms a prompt=100 out=30\nt=0ms b prompt=100 out=30\n", parts);
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 0);
  class OneAtATime final : public First {
   public:
    explicit OneAtATime(Switch& s) : switch_(&s) {}
    Duration tick() const override { return switch_->tick(); }
    void on_tick(Cluster& c) override { switch_->on_tick(c); }
    bool accepts(CallId, StationId to, Tokens, const Cluster& c) const override { return c.running(to) == 0; }

   private:
    Switch* switch_;
  } one_at_a_time(policy);
  parts.policy = &one_at_a_time;
  run = run_cluster(engine + "t=0ms a prompt=100 out=30\nt=0ms b prompt=100 out=30\n", parts);
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 0);
  EXPECT_EQ(run.rows.at(0).decode_queue, Duration{});
  EXPECT_EQ(run.rows.at(1).decode_queue, run.rows.at(0).finish - at(400ms));
}

/// Its client gives up while nobody has the call: it leaves with what it computed, and the books are even.
TEST(Commit, ACallThatNobodyHasMayGiveUp) {
  Switch policy(145ms, 100ms, Move::kCommit);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=10 cancel=200ms\n", one_pool(policy));
  EXPECT_EQ(run.rows.at(0).status, Status::kCancelled);
  EXPECT_EQ(run.rows.at(0).finish, at(200ms));
  EXPECT_EQ(run.rows.at(0).output, Tokens32{4});
  EXPECT_EQ(run.outcome.summary.broken, std::vector<std::string>{});
}

NodeEvent event(Duration t, NodeChange what, std::int32_t node, Duration deadline = {}) {
  return {at(t), what, node, what == NodeChange::kAnnounced ? at(deadline) : kNever};
}

ClusterParts on_nodes(ClusterPolicy& policy, std::int32_t nodes, std::vector<NodeEvent> events, int devices = 1,
                      int tp = 1) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "main", .count = 2, .tp = tp, .start_delay = 50ms, .on_nodes = true}};
  for (std::int32_t i = 0; i < nodes; ++i) c.nodes.push_back({.name = "node", .devices = devices});
  c.capacity = std::move(events);
  return c;
}

/// What is there at the beginning serves at once, what comes later after the start delay.
TEST(Nodes, InstancesStartOnNodesThatCome) {
  First policy;
  const auto early = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n",
                                 on_nodes(policy, 1, {event(0ms, NodeChange::kAdded, 0)}));
  EXPECT_EQ(early.rows.at(0).finish, at(110ms));
  const auto late = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n",
                                on_nodes(policy, 1, {event(10ms, NodeChange::kAdded, 0)}));
  EXPECT_EQ(late.rows.at(0).finish, at(10ms + 50ms + 110ms));
}

/// The call on the node that goes begins again on the other; nodes are paid for while they are there.
TEST(Nodes, WhatStandsOnANodeGoesWithIt) {
  First policy;
  ClusterParts c = on_nodes(policy, 2, {event(0ms, NodeChange::kAdded, 0), event(0ms, NodeChange::kAdded, 1),
                                        event(60ms, NodeChange::kGone, 0)});
  c.lost_calls = Move::kRestart;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n", c);
  EXPECT_EQ(run.rows.at(0).finish, at(60ms + 110ms));
  EXPECT_EQ(run.outcome.nodes_paid, (std::vector<Duration>{60ms, 170ms}));
}

/// An announced instance takes no calls and finishes what it has.
TEST(Nodes, AnAnnouncedNodeFinishesWhatItCan) {
  First policy;
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=100 out=1\nt=20ms b prompt=100 out=1\n",
      on_nodes(policy, 2, {event(0ms, NodeChange::kAdded, 0), event(0ms, NodeChange::kAdded, 1),
                           event(10ms, NodeChange::kAnnounced, 0, 200ms), event(200ms, NodeChange::kGone, 0)}));
  EXPECT_EQ(run.rows.at(0).finish, at(110ms));
  EXPECT_EQ(run.rows.at(1).finish, at(130ms));
  EXPECT_EQ(run.rows.at(1).station, StationId{1});
}

/// An instance of four devices needs two nodes of two, and goes with either; then one node's devices are free, too few.
TEST(Nodes, AnInstanceMayNeedSeveral) {
  First policy;
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=100 out=1\n",
      on_nodes(policy, 3, {event(0ms, NodeChange::kAdded, 0), event(20ms, NodeChange::kAdded, 1),
                           event(100ms, NodeChange::kGone, 1), event(300ms, NodeChange::kAdded, 2)}, 2, 4));
  EXPECT_EQ(run.rows.at(0).finish, at(300ms + 50ms + 110ms));
}

/// Two instances of one device share a node of two, so the second does not wait for the other node.
TEST(Nodes, SeveralInstancesMayShareOne) {
  First policy;
  ClusterParts c = on_nodes(policy, 1, {event(0ms, NodeChange::kAdded, 0)}, 2);
  c.happenings = {{Happening::kDrain, at(5ms), StationId{0}}};
  const auto run = run_cluster(std::string(kEngine) + "t=10ms a prompt=100 out=1\n", c);
  EXPECT_EQ(run.rows.at(0).station, StationId{1});
}

/// No node comes any more: what waits is in flight, and the run ends.
TEST(Nodes, CallsThatNoNodeIsLeftForStayInFlight) {
  First policy;
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=100 out=10\n",
      on_nodes(policy, 1, {event(0ms, NodeChange::kAdded, 0), event(115ms, NodeChange::kGone, 0)}));
  EXPECT_EQ(run.rows.at(0).status, Status::kInFlight);
  EXPECT_EQ(run.outcome.summary.broken, std::vector<std::string>{});
}

/// Asks for nodes that it may not have.
class Occupier final : public First {
 public:
  bool on_nodes(std::span<const std::int32_t> nodes, NodeChange what, Cluster& c) override {
    if (what != NodeChange::kAdded) return true;
    const std::vector<std::int32_t> missing{1}, twice{0, 0};
    EXPECT_EQ(nodes.size(), 1);
    EXPECT_FALSE(c.occupy(StationId{0}, missing));   // it is not there
    EXPECT_FALSE(c.occupy(StationId{0}, twice));     // two devices are needed, the node has one
    return true;
  }
};

TEST(Nodes, NobodyOccupiesWhatIsNotThere) {
  Occupier policy;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n",
                               on_nodes(policy, 2, {event(0ms, NodeChange::kAdded, 0)}, 1, 2));
  EXPECT_EQ(run.rows.at(0).status, Status::kInFlight);
}

}  // namespace
}  // namespace orrery
