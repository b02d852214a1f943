/// Networks whose bandwidth changes: by a signal, by an event, by both; and machines that fall with all that stands on
/// them.
#include <gtest/gtest.h>

#include "policies/disaggregation/shortest_queue.hpp"
#include "policies/routing/round_robin.hpp"
#include "sim/engine/operations.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// One instance for prompts, one that decodes, 1 MB of KV a token and a link between them.
struct Linked {
  explicit Linked(std::int64_t bytes_per_s = 1'000'000'000) {
    const PoolParts like{.name = "like", .kv_bytes_per_token = Bytes{1'000'000}};
    parts.policy = &policy;
    parts.pools = {like, like};
    parts.pools[0].role = Role::kPrefill;
    parts.pools[1].role = Role::kDecode;
    parts.links = {{PoolId{0}, PoolId{1}, bytes_per_s, {}}};
  }
  /// The prompt is done at 110 ms; its KV is 100 MB.
  ClusterRun run(bool fast_forward = true) const {
    return run_cluster("engine batching=sarathi stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n"
                       "t=0ms a prompt=100 out=9\n", parts, fast_forward);
  }
  Duration transfer() const {
    const Duration fast = run().rows.at(0).transfer;
    EXPECT_EQ(run(false).rows.at(0).transfer, fast);
    return fast;
  }
  ShortestQueue policy;
  ClusterParts parts;
};

TEST(Network, ASignalChangesTheRateOfATransferUnderWay) {
  Linked c;
  EXPECT_EQ(c.transfer(), 100ms);
  const StepSignal halved({{Time{}, 1'000'000'000}, {at(160ms), 500'000'000}});
  c.parts.bandwidths = {{PoolId{0}, PoolId{1}, &halved}};
  EXPECT_EQ(c.transfer(), 50ms + 100ms);
  const StepSignal down({{Time{}, 500'000'000}, {at(160ms), 0}, {at(1s), 1'000'000'000}});
  c.parts.bandwidths.front().bytes_per_s = &down;
  EXPECT_EQ(c.transfer(), 890ms + 75ms - Duration{840});   // 25 MB until it is down, 0.84 bytes until it is back
}

/// The signal rules whatever the link says, also where that has no limit.
TEST(Network, ASignalLimitsALinkWithoutALimit) {
  Linked c(0);
  EXPECT_EQ(c.transfer(), 0ms);
  const StepSignal slow(200'000'000);
  c.parts.bandwidths = {{PoolId{0}, PoolId{1}, &slow}};
  EXPECT_EQ(c.transfer(), 500ms);
}

TEST(Network, ASignalMayBeThatOfInstances) {
  Linked c(0);
  const StepSignal halved({{Time{}, 1'000'000'000}, {at(160ms), 500'000'000}});
  c.parts.bandwidths = {{PoolId{1}, PoolId{}, &halved}};
  EXPECT_EQ(c.transfer(), 50ms + 100ms);
}

TEST(Network, ALinkIsDegradedForAWhile) {
  Linked c;
  Operations operations({{.kind = Operation::kDegrade, .at = at(160ms), .pool = PoolId{0}, .link = PoolId{1},
                          .lasts = 50ms, .per_mille = 500}}, 1);
  c.parts.controllers = {&operations};
  const ClusterRun run = c.run();
  EXPECT_EQ(run.rows.at(0).transfer, 50ms + 50ms + 25ms);
  ASSERT_EQ(operations.incidents().size(), 1U);
  EXPECT_EQ(operations.incidents().front().at, at(160ms));
  EXPECT_EQ(operations.incidents().front().ended, at(210ms));
  EXPECT_EQ(operations.incidents().front().instances, 0);
}

/// A fifth of what the signal says then, and all of it when the event is over.
TEST(Network, AnEventTakesItsPartOfTheSignal) {
  Linked c;
  Operations operations({{.kind = Operation::kDegrade, .at = at(110ms), .pool = PoolId{0}, .link = PoolId{1},
                          .lasts = 100ms, .per_mille = 200}}, 1);
  c.parts.controllers = {&operations};
  const StepSignal halved({{Time{}, 1'000'000'000}, {at(160ms), 500'000'000}});
  c.parts.bandwidths = {{PoolId{0}, PoolId{1}, &halved}};
  EXPECT_EQ(c.run().rows.at(0).transfer, 100ms + 170ms);   // 10 MB, 5 MB, then 85 MB at half a GB/s
}

/// A bandwidth that a thousand does not divide is what it was when the event is over.
TEST(Network, ARestoredNetworkIsWhole) {
  for (const bool link : {true, false}) {
    Linked c(link ? 1999 : 0);
    if (!link) c.parts.pools[0].bytes_per_s = 1999;
    c.parts.pools[0].kv_bytes_per_token = Bytes{30};
    Operation degrade{.kind = Operation::kDegrade, .at = at(10ms), .pool = PoolId{0}, .lasts = 10ms, .per_mille = 100};
    if (link) degrade.link = PoolId{1};
    Operations operations({degrade}, 1);
    c.parts.controllers = {&operations};
    EXPECT_EQ(c.run().rows.at(0).transfer, Duration{ceil_div(std::int64_t{3000} * 1'000'000'000'000, 1999)});
  }
}

/// Layers go while the prompt is computed, at the bandwidth that there is then: at a tenth of it, 11 of 100 MB in 110
/// ms.
TEST(Network, ALayerwiseTransferHidesWhatADegradedNetworkLetsThrough) {
  class Layered final : public ClusterPolicy {
   public:
    Placement route(CallId, Cluster&, Rng) override { return Placement::split(StationId{0}, StationId{1}); }
    Transfer transfer(CallId, const Cluster&) const override { return Transfer::kLayerwise; }
  } layered;
  Linked c(0);
  c.parts.policy = &layered;
  c.parts.pools[0].layers = 11;
  c.parts.pools[0].bytes_per_s = 1'000'000'000;
  EXPECT_EQ(c.transfer(), Duration{ceil_div(std::int64_t{100'000'000}, std::int64_t{11}) * 1000});   // the last layer
  Operations operations({{.kind = Operation::kDegrade, .at = at(0ms), .pool = PoolId{0}, .per_mille = 100}}, 1);
  c.parts.controllers = {&operations};
  EXPECT_EQ(c.run().rows.at(0).transfer, 900ms);   // ten of eleven layers overlap: 10 MB
}

/// A router over two pools; machine 1 has an instance of each.
TEST(Operations, AMachineFallsWithInstancesOfAllPools) {
  RoundRobin router({});
  const Operation fail{.kind = Operation::kFail, .pool = PoolId{}, .nodes = true};
  std::vector<Operation> both{fail, fail};
  both[0].at = at(5500ms), both[0].which = {1}, both[0].lasts = 3s;
  both[1].at = at(12500ms);
  Operations operations(both, 1);
  ClusterParts c;
  c.router = &router;
  c.pools = {PoolParts{.name = "a", .count = 2, .node_of = {0, 1}},
             PoolParts{.name = "b", .count = 2, .node_of = {1, 2}}};
  c.controllers = {&operations};
  std::string text = "engine batching=sarathi stations=4 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n";
  for (int i = 0; i < 16; ++i) text += "t=" + std::to_string(i) + "s r" + std::to_string(i) + " prompt=10 out=2\n";
  const ClusterRun run = run_cluster(text, c);
  ASSERT_EQ(operations.incidents().size(), 2U);
  EXPECT_EQ(operations.incidents()[0].instances, 2);
  EXPECT_EQ(operations.incidents()[0].ended, at(8500ms));
  EXPECT_EQ(operations.incidents()[1].instances, 1);   // machine 0
  for (const auto& [number, row] : run.rows) {
    const bool outer = row.station.index == 0 || row.station.index == 3;
    EXPECT_TRUE(outer || number <= 5 || number >= 9) << number;
    EXPECT_TRUE(row.station.index != 0 || number <= 12) << number;
  }
}

}  // namespace
}  // namespace orrery
