#include "sim/engine/buddy.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Free runs by order, from the highest that has any; the picture of an allocator.
std::map<int, int> runs(const Buddy& b) {
  std::map<int, int> out;
  for (int order = 0; order < Buddy::kOrders; ++order)
    if (b.runs()[order] != 0) out[order] = b.runs()[order];
  return out;
}

using Runs = std::map<int, int>;

TEST(Buddy, AnyNumberOfSlotsIsASumOfPowersOfTwo) {
  EXPECT_EQ(runs(Buddy(3000)), (Runs{{3, 1}, {4, 1}, {5, 1}, {7, 1}, {8, 1}, {9, 1}, {11, 1}}));
  EXPECT_EQ(runs(Buddy(0)), Runs{});
  EXPECT_EQ(Buddy(0).alloc(0), Buddy::kNone);
}

TEST(Buddy, OrderIsTheSmallestThatHolds) {
  EXPECT_EQ(Buddy::order_for(1), 0);
  EXPECT_EQ(Buddy::order_for(2), 1);
  EXPECT_EQ(Buddy::order_for(3), 2);
  EXPECT_EQ(Buddy::order_for(512), 9);
  EXPECT_EQ(Buddy::order_for(513), 10);
}

/// 16 slots: a run of 2 splits 16 into 8 + 4 + 2 + the run; freeing it restores the 16.
TEST(Buddy, SplitsAndMerges) {
  Buddy b(16);
  const std::int64_t first = b.alloc(1);
  EXPECT_EQ(first, 0);
  EXPECT_EQ(runs(b), (Runs{{1, 1}, {2, 1}, {3, 1}}));
  const std::int64_t second = b.alloc(1);
  EXPECT_EQ(second, 2);
  EXPECT_EQ(runs(b), (Runs{{2, 1}, {3, 1}}));
  b.free(first, 1);
  EXPECT_EQ(runs(b), (Runs{{1, 1}, {2, 1}, {3, 1}}));
  b.free(second, 1);
  EXPECT_EQ(runs(b), (Runs{{4, 1}}));
}

/// Half of the slots are free, but in runs of one: nothing longer fits (external fragmentation).
TEST(Buddy, FragmentedMemoryRefusesARunThatTheFreeSlotsWouldHold) {
  Buddy b(8);
  std::vector<std::int64_t> at;
  for (int i = 0; i < 8; ++i) at.push_back(b.alloc(0));
  EXPECT_EQ(b.alloc(0), Buddy::kNone);
  for (std::size_t i = 0; i < 8; i += 2) b.free(at[i], 0);
  EXPECT_EQ(b.free_slots(), 4);
  EXPECT_EQ(b.longest(), 1);
  EXPECT_EQ(b.alloc(1), Buddy::kNone);
}

/// The runs of the decomposition have no buddies: 12 = 8 + 4 never becomes one run.
TEST(Buddy, PartsOfAnUnevenPoolStayApart) {
  Buddy b(12);
  const auto a = b.alloc(3), c = b.alloc(2);
  b.free(c, 2);
  b.free(a, 3);
  EXPECT_EQ(runs(b), (Runs{{2, 1}, {3, 1}}));
}

/// The counts after an allocation as BatchPlan::take_run books them.
bool take_run(BuddyRuns& r, int order) {
  int have = order;
  while (have < Buddy::kOrders && r[have] == 0) ++have;
  if (have == Buddy::kOrders) return false;
  --r[have];
  while (have > order) ++r[--have];
  return true;
}

/// Over random operations: runs never overlap, stay inside the pool and aligned, counts follow take_run, free slots add
/// up, and freeing all merges back to the pool as it was.
TEST(Buddy, RandomOperationsKeepEveryRule) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 1);
    const auto slots = static_cast<std::int64_t>(1 + rng.below(3000));
    Buddy b(slots);
    const BuddyRuns fresh = b.runs();
    std::map<std::int64_t, int> live;  // address -> order
    std::int64_t taken = 0;
    for (int op = 0; op < 2000; ++op) {
      if (live.empty() || rng.below(5) < 3) {
        const int order = static_cast<int>(rng.below(9));
        BuddyRuns expected = b.runs();
        const bool fits = take_run(expected, order);
        const std::int64_t at = b.alloc(order);
        ASSERT_EQ(at != Buddy::kNone, fits);
        ASSERT_EQ(b.runs(), expected);
        if (!fits) continue;
        const std::int64_t length = std::int64_t{1} << order;
        ASSERT_EQ(at % length, 0);
        ASSERT_LE(at + length, slots);
        const auto next = live.lower_bound(at);
        ASSERT_TRUE(next == live.end() || at + length <= next->first);
        auto end = [](auto it) { return it->first + (std::int64_t{1} << it->second); };
        ASSERT_TRUE(next == live.begin() || end(std::prev(next)) <= at);
        live[at] = order;
        taken += length;
      } else {
        auto it = std::next(live.begin(), static_cast<std::ptrdiff_t>(rng.below(live.size())));
        b.free(it->first, it->second);
        taken -= std::int64_t{1} << it->second;
        live.erase(it);
      }
      ASSERT_EQ(b.free_slots(), slots - taken);
      std::int64_t counted = 0;
      for (int o = 0; o < Buddy::kOrders; ++o) counted += b.runs()[o] * (std::int64_t{1} << o);
      ASSERT_EQ(counted, b.free_slots());
    }
    for (auto [at, order] : live) b.free(at, order);
    EXPECT_EQ(b.runs(), fresh) << "seed " << seed;
  }
}

}  // namespace
}  // namespace orrery
