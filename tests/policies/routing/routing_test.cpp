#include <gtest/gtest.h>

#include <vector>

#include "policies/routing/least_loaded.hpp"
#include "policies/routing/least_tokens.hpp"
#include "policies/routing/power_of_two.hpp"
#include "policies/routing/prefix_aware.hpp"
#include "policies/routing/random.hpp"
#include "policies/routing/round_robin.hpp"
#include "policies/routing/session_sticky.hpp"

namespace orrery {
namespace {

/// Stations with so many calls and tokens each.
struct Cluster {
  std::vector<StationLoad> loads;
  std::vector<const PrefixView*> caches;
  explicit Cluster(const std::vector<int>& calls, const std::vector<int>& tokens = {})
      : loads(calls.size()), caches(calls.size()) {
    for (std::size_t i = 0; i < calls.size(); ++i) loads[i].calls = calls[i];
    for (std::size_t i = 0; i < tokens.size(); ++i) loads[i].tokens = Tokens{tokens[i]};
  }
  int route(Router& r, std::uint64_t routed = 0, std::uint32_t session = 0) const {
    Call call;
    call.prompt = Tokens32{100};
    call.session = session;
    return r.route(call, CallId{}, {.now = {}, .stations = loads, .prefixes = caches, .routed = routed},
                   Rng(1, Purpose::kRouter, routed)).index;
  }
};

struct Cached final : PrefixView {
  explicit Cached(int hit) : tokens(hit) {}
  PrefixMatch match(CallId) const override { return {Tokens{tokens}, Blocks{}}; }
  Blocks releasable(CallId) const override { return Blocks{}; }
  int tokens;
};

TEST(RoundRobin, TakesTurns) {
  RoundRobin r({});
  const Cluster c({9, 0, 0});
  EXPECT_EQ((std::vector{c.route(r, 0), c.route(r, 1), c.route(r, 2), c.route(r, 3)}), (std::vector{0, 1, 2, 0}));
}

TEST(RandomRouter, IsEven) {
  RandomRouter r({});
  const Cluster c({0, 0, 0, 0});
  std::vector<int> hits(4);
  for (std::uint64_t i = 0; i < 4000; ++i) ++hits[static_cast<std::size_t>(c.route(r, i))];
  for (int h : hits) EXPECT_NEAR(h, 1000, 4 * 27.4);   // sqrt(4000 * 0.25 * 0.75) = 27.4
}

TEST(LeastLoaded, FewestCallsAndTiesRotate) {
  LeastLoaded r({});
  EXPECT_EQ(Cluster({3, 1, 2}).route(r), 1);
  const Cluster tie({1, 1, 5});
  EXPECT_EQ(tie.route(r, 0), 0);
  EXPECT_EQ(tie.route(r, 1), 1);
  EXPECT_EQ(tie.route(r, 2), 0);   // 2 is the fullest
}

TEST(LeastTokens, DiffersFromLeastLoadedWhereOneCallIsLong) {
  LeastTokens tokens({});
  LeastLoaded calls({});
  const Cluster c({1, 3}, {9000, 300});
  EXPECT_EQ(c.route(tokens), 1);
  EXPECT_EQ(c.route(calls), 0);
}

TEST(PowerOfTwo, NeverPicksTheFullestOfThree) {
  PowerOfTwo r({});
  const Cluster c({5, 1, 9});
  std::vector<int> hits(3);
  for (std::uint64_t i = 0; i < 3000; ++i) ++hits[static_cast<std::size_t>(c.route(r, i))];
  EXPECT_EQ(hits[2], 0);                       // it always meets a shorter queue
  EXPECT_NEAR(hits[1], 2000, 4 * 25.8);        // in two of three pairs
  EXPECT_EQ(Cluster({7}).route(r), 0);
}

TEST(SessionSticky, ASessionStays) {
  SessionSticky r({});
  const Cluster before({0, 0, 0, 0}), after({9, 9, 9, 9});
  for (std::uint32_t s = 1; s < 50; ++s) EXPECT_EQ(before.route(r, 1, s), after.route(r, 17, s));
  EXPECT_EQ(Cluster({3, 1, 2}).route(r, 0, 0), 1);   // no session: the least loaded
}

TEST(PrefixAware, GoesToTheLongestPrefixAboveTheThreshold) {
  PrefixAware r({});
  Cluster c({0, 5, 5});
  const Cached half(50), most(80), none(0);
  c.caches = {&none, &half, &most};
  EXPECT_EQ(c.route(r), 2);
  c.caches = {&none, &half, &half};             // half the prompt is not more than half
  EXPECT_EQ(c.route(r), 0);
}

TEST(PrefixAware, BalancesWhenTheClusterIsOutOfBalance) {
  PrefixAware r({});
  const Cached none(0), most(80);
  Cluster c({0, 32});
  c.caches = {&none, &most};
  EXPECT_EQ(c.route(r), 1);                     // 32 more is within bounds
  c.loads[1].calls = 33;
  EXPECT_EQ(c.route(r), 0);
}

TEST(PrefixAware, WithoutCachesIsLeastLoaded) {
  PrefixAware r({});
  EXPECT_EQ(Cluster({3, 1, 2}).route(r), 1);
}

TEST(Routers, TellTheirStaleness) {
  EXPECT_EQ(LeastLoaded({.staleness = from_seconds(0.1)}).staleness(), from_seconds(0.1));
  EXPECT_EQ(RoundRobin({}).staleness(), Duration{});
}

}  // namespace
}  // namespace orrery
