/// Virtual usage, freeness and pairing of Llumnix on numbers (spec: algorithm 1 and section 4.4 of the paper,
/// thresholds of the authors' code). Decisions in running clusters: tests/cluster/llumnix_test.cpp.
#include "policies/migration/llumnix.hpp"

#include <gtest/gtest.h>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// 100 blocks, 60 held by 4 calls; two wait, the first for 10 blocks, both for 30.
Occupancy busy() {
  return {
      .total = Blocks{100}, .free = Blocks{40}, .head = Blocks{10}, .queued = Blocks{30}, .running = 4, .waiting = 2};
}

TEST(Freeness, TheQueueHeadCountsAndThoseBehindItDoNot) {
  EXPECT_EQ(freeness(busy(), Blocks{}, Queue::kHead), (40 - 10) / 5.0);
}

TEST(Freeness, DispatchCountsAllThatWait) { EXPECT_EQ(freeness(busy(), Blocks{}, Queue::kAll), (40 - 30) / 6.0); }

TEST(Freeness, MayBeNegative) {
  Occupancy o = busy();
  o.head = Blocks{90};
  EXPECT_EQ(freeness(o, Blocks{}, Queue::kHead), (40 - 90) / 5.0);
}

TEST(Freeness, HeadroomCountsOnceWhereCallsOfHighPriorityRun) {
  Occupancy o = busy();
  EXPECT_EQ(freeness(o, Blocks{100}, Queue::kHead), (40 - 10) / 5.0);
  o.urgent = true;   // shared by all of them: headroom / n for each of n
  EXPECT_EQ(freeness(o, Blocks{100}, Queue::kHead), (40 - 10 - 100) / 5.0);
}

TEST(Freeness, AnInstanceThatEndsHasNone) {
  Occupancy o = busy();
  o.ends = true;
  EXPECT_EQ(freeness(o, Blocks{}, Queue::kHead), -kInfinity);
}

TEST(Freeness, AnEmptyInstanceIsInfinitelyFree) {
  EXPECT_EQ(freeness({.total = Blocks{100}, .free = Blocks{100}}, Blocks{}, Queue::kHead), kInfinity);
}

/// More held, more waiting, headroom: never freer.
TEST(Freeness, FallsWithEverythingThatIsUsed) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Rng rng(3, Purpose::kFuzz, i);
    Occupancy o = busy();
    o.free = Blocks{static_cast<std::int64_t>(rng.below(100))};
    o.head = Blocks{static_cast<std::int64_t>(rng.below(200))};
    o.queued = o.head + Blocks{static_cast<std::int64_t>(rng.below(200))};
    o.running = static_cast<std::int32_t>(rng.below(20));
    o.waiting = static_cast<std::int32_t>(1 + rng.below(9));
    for (const Queue q : {Queue::kHead, Queue::kAll}) {
      const double before = freeness(o, Blocks{50}, q);
      Occupancy fuller = o, hungrier = o, urgent = o;
      fuller.free -= Blocks{1};
      ++hungrier.head;
      ++hungrier.queued;
      urgent.urgent = true;
      for (const Occupancy& worse : {fuller, hungrier, urgent}) EXPECT_LT(freeness(worse, Blocks{50}, q), before);
    }
  }
}

std::vector<Candidate> candidates(std::initializer_list<double> freeness) {
  std::vector<Candidate> all;
  for (const double f : freeness) all.push_back({StationId{static_cast<std::int32_t>(all.size())}, {}, f});
  return all;
}

std::vector<std::pair<int, int>> stations(const std::vector<std::pair<Candidate, Candidate>>& pairs) {
  std::vector<std::pair<int, int>> out;
  for (const auto& [from, to] : pairs) out.emplace_back(from.station.index, to.station.index);
  return out;
}

using Pairs = std::vector<std::pair<int, int>>;

/// Sources below 3, destinations above; one of exactly 3 is neither. Lowest with highest, then the second of each.
TEST(Pairing, TheLeastFreeWithTheFreest) {
  EXPECT_EQ(stations(pair_up(candidates({1, 8, 3, -2, 3.5, kInfinity, 2.9}), 3)), (Pairs{{3, 5}, {0, 1}, {6, 4}}));
}

TEST(Pairing, EndsWithTheShorterSide) {
  EXPECT_EQ(stations(pair_up(candidates({1, 2, 2.5, 9}), 3)), (Pairs{{0, 3}}));
  EXPECT_EQ(stations(pair_up(candidates({4, 5, 9}), 3)), Pairs{});
}

TEST(Pairing, EqualsInOrderOfTheirNumbers) {
  EXPECT_EQ(stations(pair_up(candidates({9, 1, 9, 1}), 3)), (Pairs{{1, 0}, {3, 2}}));
}

TEST(Pairing, AnInstanceThatPreemptedIsASourceHoweverFree) {
  auto all = candidates({20, 30});
  all[0].occupancy.preempted = true;
  EXPECT_EQ(stations(pair_up(all, 3)), (Pairs{{0, 1}}));
}

TEST(Pairing, ADrainingInstanceIsEmptied) {
  EXPECT_EQ(stations(pair_up(candidates({-kInfinity, 4}), 3)), (Pairs{{0, 1}}));
}

Candidate holding(std::int64_t free, std::int32_t running) {
  Candidate c;
  c.occupancy = {.total = Blocks{100}, .free = Blocks{free}, .running = running};
  c.freeness = freeness(c.occupancy, Blocks{}, Queue::kHead);
  return c;
}

/// 8 blocks free for 4 calls, 50 for 5. A call of 10 blocks leaves (8 + 10) / 3 = 6 and (50 - 10) / 6 = 6.7: closer
/// than 2 and 10. One of 20 blocks would leave 9.3 and 5: the gap turns round.
TEST(Balanced, KeepsPairsWhoseGapNarrows) {
  EXPECT_TRUE(balances(holding(8, 4), holding(50, 5), Blocks{10}, Blocks{}, 3));
  EXPECT_FALSE(balances(holding(8, 4), holding(50, 5), Blocks{20}, Blocks{}, 3));
}

TEST(Balanced, LeavesTheDestinationAboveTheThreshold) {   // (20 - 2) / 6 = 3 is not above it
  EXPECT_FALSE(balances(holding(-8, 4), holding(20, 5), Blocks{2}, Blocks{}, 3));
  EXPECT_TRUE(balances(holding(-8, 4), holding(20, 5), Blocks{1}, Blocks{}, 3));
}

}  // namespace
}  // namespace orrery
