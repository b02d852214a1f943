/// Instances that are kept alive for a while without calls, and come back when calls wait.
#include <gtest/gtest.h>

#include "policies/routing/round_robin.hpp"
#include "sim/engine/keep_alive.hpp"
#include "sim/engine/operations.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// When `who` did `what`, all times; both as in the lines of actions.
std::vector<std::string> when(const ClusterRun& run, const std::string& what) {
  std::vector<std::string> times;
  for (const std::string& line : run.actions)
    if (line.find(what + " ") != std::string::npos) times.push_back(line.substr(0, line.find(' ')));
  return times;
}

using Times = std::vector<std::string>;

struct Kept {
  explicit Kept(KeepAliveParts p, std::int32_t count = 2) : keeper(p) {
    parts.router = &router;
    parts.pools = {PoolParts{.name = "main", .count = count}};
    parts.controllers = {&keeper};
  }
  ClusterRun run(const std::string& requests, bool fast_forward = true) const {
    return run_cluster("engine batching=sarathi stations=" + std::to_string(parts.pools.front().count) +
                       " kv_blocks=100 block=16  cost: 10ms\n" + requests, parts, fast_forward);
  }
  RoundRobin router{{}};
  KeepAlive keeper;
  ClusterParts parts;
};

/// Two at the start. Instance 1 has no calls for 5 s, instance 0 from 20 ms on; the next call waits 2 s for it to come
/// back.
TEST(KeepAlive, InstancesWithoutCallsGoAndComeBackForThoseThatWait) {
  const KeepAliveParts p{.pool = PoolId{0}, .least = 0, .keep_alive = 5s, .start_delay = 2s};
  const ClusterRun run = Kept(p).run("t=0s a prompt=10 out=2\nt=9s b prompt=10 out=2\nt=9s c prompt=10 out=2\n"
                                     "t=30s d prompt=10 out=2\n");
  EXPECT_EQ(when(run, "keep-alive: draining at 1"), (Times{"5s"}));
  EXPECT_EQ(when(run, "keep-alive: draining at 0"), (Times{"5020ms", "16020ms"}));
  EXPECT_EQ(when(run, "keep-alive: loading at 0"), (Times{"9s", "30s"}));
  EXPECT_TRUE(when(run, "keep-alive: loading at 1").empty());   // more than one is a scaling rule's business
  EXPECT_EQ(run.rows.at(1).finish, at(11s + 20ms));
  EXPECT_EQ(run.rows.at(2).finish, at(11s + 20ms));
  EXPECT_EQ(run.rows.at(3).finish, at(32s + 20ms));
}

TEST(KeepAlive, TheLeastStay) {
  const KeepAliveParts p{.pool = PoolId{0}, .least = 1, .keep_alive = 5s, .start_delay = 2s};
  const ClusterRun run = Kept(p, 3).run("t=0s a prompt=10 out=2\nt=60s b prompt=10 out=2\n");
  EXPECT_EQ(when(run, "keep-alive: draining at 2"), (Times{"5s"}));
  EXPECT_EQ(when(run, "keep-alive: draining at 1"), (Times{"5s"}));
  EXPECT_TRUE(when(run, "keep-alive: draining at 0").empty());
  EXPECT_EQ(run.rows.at(1).finish, at(60s + 20ms));
}

/// Calls shorten no keep-alive and are shortened by none: a call of 9 s at an instance that is kept for 1 s.
TEST(KeepAlive, AnInstanceWithACallIsNotIdle) {
  const KeepAliveParts p{.pool = PoolId{0}, .least = 0, .keep_alive = 1s, .start_delay = 2s};
  for (const bool fast : {true, false}) {
    const ClusterRun run = Kept(p, 1).run("t=500ms a prompt=10 out=900\n", fast);
    EXPECT_EQ(run.rows.at(0).finish, at(9500ms));
    EXPECT_TRUE(when(run, "keep-alive: draining at 0").empty());   // nothing is left to be simulated when it would
  }
}

/// One that has failed is not started; one that serves again counts from then on.
TEST(KeepAlive, LivesWithFailures) {
  Kept k({.pool = PoolId{0}, .least = 0, .keep_alive = 5s, .start_delay = 1s}, 1);
  Operations operations({{.kind = Operation::kFail, .at = at(2s), .which = {0}, .lasts = 4s, .start_delay = 1s}}, 1);
  k.parts.controllers = {&operations, &k.keeper};
  const ClusterRun run = k.run("t=0s a prompt=10 out=2\nt=3s b prompt=10 out=2\nt=20s c prompt=10 out=2\n");
  EXPECT_EQ(run.rows.at(1).finish, at(7s + 20ms));
  EXPECT_EQ(when(run, "keep-alive: draining at 0"), (Times{"12020ms"}));
  EXPECT_EQ(run.rows.at(2).finish, at(21s + 20ms));
}

}  // namespace
}  // namespace orrery
