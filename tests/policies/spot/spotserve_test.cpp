/// SpotServe and its baselines on small clusters whose times can be worked out by hand: 10 ms a step and 1 ms a prompt
/// token, a model of 200 MB over instances of two devices, nodes of one device with 1 GB/s, 20 ms a migration, 1 s for
/// a start from disk. So a new device gets its half of the model in 100 ms + 20 ms.
#include <gtest/gtest.h>

#include "policies/spot/reparallelization.hpp"
#include "policies/spot/rerouting.hpp"
#include "policies/spot/spotserve.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

class Flat final : public CostModel {
 public:
  StepRun price(std::span<const StepShape>, int) const override {
    StepRun r;
    r.first = 10ms;
    return r;
  }
};
const Flat kFlat;

constexpr const char* kEngine = "engine batching=sarathi stations=3 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n";

NodeEvent event(Duration t, NodeChange what, std::int32_t node, Duration deadline = {}) {
  return {at(t), what, node, what == NodeChange::kAnnounced ? at(deadline) : kNever};
}

/// Nodes 0 to n - 1 are there at first.
std::vector<NodeEvent> first(std::int32_t n, std::vector<NodeEvent> then) {
  std::vector<NodeEvent> all;
  for (std::int32_t i = 0; i < n; ++i) all.push_back(event(0ms, NodeChange::kAdded, i));
  all.insert(all.end(), then.begin(), then.end());
  return all;
}

ClusterParts parts(ClusterPolicy& policy, std::int32_t nodes, std::vector<NodeEvent> events, int batch = 4,
                   Duration start = 1s) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "two", .count = 3, .layers = 4, .tp = 2, .max_running = batch, .weight_bytes = Bytes{200'000'000},
              .start_delay = start, .on_nodes = true, .cost = &kFlat}};
  for (std::int32_t i = 0; i < nodes; ++i) c.nodes.push_back({.name = "node", .devices = 1});
  c.capacity = std::move(events);
  return c;
}

SpotServeConfig spot_config() {
  SpotServeConfig c;
  c.rate = 0.001;
  c.bandwidth = 1e9;
  c.fixed = 20ms;
  return c;
}

template <class Config>
Config baseline() {
  Config c;
  c.rate = 0.001;
  return c;
}

/// Nodes 0 and 1 serve, 2 is spare; node 0 is announced at 200 ms and goes at 400 ms. A call of 50 tokens has its first
/// at 110 ms and one more every 10 ms.
const std::vector<NodeEvent> kOneGoes =
    first(3, {event(200ms, NodeChange::kAnnounced, 0, 400ms), event(400ms, NodeChange::kGone, 0)});
const std::string kOneCall = std::string(kEngine) + "t=0ms a prompt=100 out=50\n";

/// It decodes until 280 ms, when it has 18 tokens; the other 32 come from 400 ms on.
TEST(SpotServe, DecodesAsLongAsTheMigrationLeavesTimeAndGoesOn) {
  SpotServe policy(spot_config());
  const auto run = run_cluster(kOneCall, parts(policy, 3, kOneGoes));
  EXPECT_EQ(run.rows.at(0).finish, at(400ms + 320ms));
  EXPECT_EQ(run.rows.at(0).migrations, 1);
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 0);
}

/// Both baselines start a pipeline from disk when the node has gone, and the call from its prompt.
TEST(SpotServe, DiffersFromRerouting) {
  Rerouting policy(baseline<ReroutingConfig>());
  const auto run = run_cluster(kOneCall, parts(policy, 3, kOneGoes));
  EXPECT_EQ(run.rows.at(0).finish, at(400ms + 1s + 600ms));
}

TEST(SpotServe, DiffersFromReparallelization) {
  Reparallelization policy(baseline<ReparallelizationConfig>());
  const auto run = run_cluster(kOneCall, parts(policy, 3, kOneGoes));
  EXPECT_EQ(run.rows.at(0).finish, at(400ms + 1s + 600ms));
}

/// The KV of 640 tokens at most, 1 MB each and half of it on the node, makes the migration 100 + 320 + 20 ms long at
/// most: it begins at once, and the 109 tokens that there are take 100 + 54.5 + 20 ms.
TEST(SpotServe, KvMovesWithTheParameters) {
  SpotServeConfig config = spot_config();
  SpotServe policy(config);
  ClusterParts c = parts(policy, 3, kOneGoes, 1);
  c.pools[0].kv_bytes_per_token = Bytes{1'000'000};
  const auto run = run_cluster(kOneCall, c);   // 10 tokens by 200 ms: 109 in KV
  EXPECT_EQ(run.rows.at(0).finish, at(200ms + 100ms + 54'500us + 20ms + 400ms));
}

/// With 50 ms of notice the KV is lost and its tokens are computed again, but the parameters that are left stay.
TEST(SpotServe, ANoticeTooShortLosesTheKvAlone) {
  SpotServe policy(spot_config());
  const auto run = run_cluster(kOneCall, parts(policy, 3, first(3, {event(200ms, NodeChange::kAnnounced, 0, 250ms),
                                                                    event(250ms, NodeChange::kGone, 0)})));
  // 10 tokens by 200 ms; node 2 has its half by 320 ms; 110 tokens are computed again, giving the eleventh
  EXPECT_EQ(run.rows.at(0).finish, at(320ms + 120ms + 390ms));
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 109);
}

/// No notice at all, and no other device holds what the node held: the model comes from disk.
TEST(SpotServe, APartThatNobodyHoldsIsLoadedAnew) {
  SpotServe policy(spot_config());
  const auto run = run_cluster(kOneCall, parts(policy, 3, first(3, {event(200ms, NodeChange::kGone, 0)})));
  EXPECT_EQ(run.rows.at(0).finish, at(200ms + 1s + 120ms + 390ms));
}

/// When instances began to change, those at the beginning apart.
std::vector<std::string> changes(const ClusterRun& run) {
  std::vector<std::string> times;
  for (const std::string& line : run.actions)
    if (line.find(": migrating") != std::string::npos && !line.starts_with("0"))
      times.push_back(line.substr(0, line.find(' ')));
  return times;
}

/// Two more nodes are ready at 250 ms, node 0 goes at 400 ms: one change for both at 280 ms, or two.
TEST(SpotServe, AddAndRemoveAreMerged) {
  const auto events = first(2, {event(100ms, NodeChange::kAdded, 2), event(100ms, NodeChange::kAdded, 3),
                                event(200ms, NodeChange::kAnnounced, 0, 400ms), event(400ms, NodeChange::kGone, 0)});
  SpotServe merges(spot_config());
  const auto one = run_cluster(kOneCall, parts(merges, 4, events, 4, 150ms));
  SpotServeConfig config = spot_config();
  config.merge = 0ms;
  SpotServe hurries(config);
  const auto two = run_cluster(kOneCall, parts(hurries, 4, events, 4, 150ms));
  EXPECT_EQ(changes(one), std::vector<std::string>{"280ms"});
  EXPECT_EQ(changes(two), std::vector<std::string>{"250ms"});   // then the other pipeline just ends
}

/// Two pipelines with a batch of one become one: the call with more tokens keeps its KV, the other is computed again
/// after it.
TEST(SpotServe, WhereThereIsLessRoomThoseWithMostTokensKeepTheirKv) {
  SpotServe policy(spot_config());
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=100 out=50\nt=50ms b prompt=100 out=50\n",
      parts(policy, 4,
            first(4, {event(200ms, NodeChange::kAnnounced, 0, 400ms), event(200ms, NodeChange::kAnnounced, 2, 400ms),
                      event(400ms, NodeChange::kGone, 0), event(400ms, NodeChange::kGone, 2)}),
            1));
  EXPECT_LT(run.rows.at(0).finish, run.rows.at(1).finish);
  EXPECT_EQ(run.rows.at(0).preemptions + run.rows.at(1).preemptions, 2);   // interruptions
  const std::int64_t kept_by_b = 100 + 13 - 1;   // tokens at 160 ms, ..., 280 ms
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, kept_by_b);
}

/// Requests wait in one queue until a pipeline has room in its batch.
TEST(SpotServe, ABatchIsNotExceeded) {
  SpotServe policy(spot_config());
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=100 out=10\nt=0ms b prompt=100 out=10\nt=0ms c prompt=100 out=10\n",
      parts(policy, 2, first(2, {}), 1));
  EXPECT_EQ(run.rows.at(1).first_schedule, run.rows.at(0).finish);
  EXPECT_EQ(run.rows.at(2).first_schedule, run.rows.at(1).finish);
}

/// Nodes that come and go at random under all three: nothing is lost, and fast-forward changes nothing.
TEST(SpotServe, UnderRandomCapacityNothingIsLost) {
  std::int64_t committed = 0;
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 9);
    std::vector<NodeEvent> events = first(4, {});
    std::vector<int> state{1, 1, 1, 1, 0, 0};   // off, up, announced
    Duration now{};
    for (int i = 0; i < 12; ++i) {
      now += Duration{static_cast<std::int64_t>(rng.below(300)) * 1'000'000'000};
      const auto n = static_cast<std::int32_t>(rng.below(6));
      int& s = state[static_cast<std::size_t>(n)];
      const NodeChange what = s == 0                       ? NodeChange::kAdded
                              : s == 1 && rng.below(3) > 0 ? NodeChange::kAnnounced
                                                           : NodeChange::kGone;
      events.push_back(event(now, what, n, now + 200ms));
      s = what == NodeChange::kAdded ? 1 : what == NodeChange::kAnnounced ? 2 : 0;
    }
    for (std::int32_t n = 0; n < 6; ++n)
      if (state[static_cast<std::size_t>(n)] == 2) events.push_back(event(now + 300ms, NodeChange::kGone, n));
    for (std::int32_t n = 0; n < 6; ++n)
      if (state[static_cast<std::size_t>(n)] != 1) events.push_back(event(now + 400ms, NodeChange::kAdded, n));
    std::string text = kEngine;
    for (int i = 0; i < 12; ++i)
      text += "t=" + std::to_string(i * 150) + "ms r" + std::to_string(i) + " prompt=80 out=30\n";
    for (int which = 0; which < 3; ++which) {
      SCOPED_TRACE(std::to_string(seed) + " policy " + std::to_string(which));
      ClusterRun runs[2];
      for (const bool fast : {true, false}) {
        SpotServe spot(spot_config());
        Rerouting reroutes(baseline<ReroutingConfig>());
        Reparallelization restarts(baseline<ReparallelizationConfig>());
        ClusterPolicy* const policies[] = {&spot, &reroutes, &restarts};
        ClusterParts c = parts(*policies[which], 6, events, 2, 100ms);
        c.pools.push_back(c.pools[0]);
        c.pools[0].count = 1;
        c.pools[1].count = 2;
        c.pools[1].tp = 1;
        c.pools[0].kv_bytes_per_token = c.pools[1].kv_bytes_per_token = Bytes{100'000};
        ASSERT_NO_THROW(runs[fast] = run_cluster(text, c, fast));
      }
      ASSERT_EQ(runs[0].outcome.fingerprint, runs[1].outcome.fingerprint) << first_difference(runs[0], runs[1]);
      ASSERT_EQ(runs[0].outcome.summary.broken, std::vector<std::string>{});
      for (const auto& [number, row] : runs[0].rows) ASSERT_EQ(row.status, Status::kDone) << number;
      committed += runs[0].outcome.migrations;
      ASSERT_TRUE(which == 0 || runs[0].outcome.migrations == 0);
    }
  }
  EXPECT_GT(committed, 50);
}

}  // namespace
}  // namespace orrery
