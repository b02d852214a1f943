/// The dynamic program against trying all subsets.
#include "policies/serverless/cheapest_set.hpp"

#include <gtest/gtest.h>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

Duration brute_force(const std::vector<Clearable>& all, std::int32_t need) {
  Duration best = Duration::max();
  for (std::uint32_t subset = 0; subset < 1u << all.size(); ++subset) {
    std::int32_t devices = 0;
    Duration cost{};
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((subset >> i & 1u) == 0) continue;
      devices += all[i].devices;
      cost += all[i].cost;
    }
    if (devices >= need) best = std::min(best, cost);
  }
  return best;
}

TEST(CheapestSet, IsAsCheapAsTheBestOfAllSubsets) {
  Rng rng(5, Purpose::kFuzz, 0);
  int possible = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<Clearable> all(rng.below(9));
    for (Clearable& c : all)
      c = {static_cast<std::int32_t>(1 + rng.below(4)), Duration{static_cast<std::int64_t>(rng.below(20))}};
    const auto need = static_cast<std::int32_t>(rng.below(12));
    const CheapestSet set = cheapest_set(all, need);
    const Duration best = brute_force(all, need);
    ASSERT_EQ(set.possible, best != Duration::max());
    if (!set.possible) continue;
    ++possible;
    ASSERT_EQ(set.cost, best);
    std::int32_t devices = 0;
    Duration cost{};
    for (const std::size_t i : set.members) {
      devices += all[i].devices;
      cost += all[i].cost;
    }
    ASSERT_EQ(cost, best);   // the members are what the cost says
    ASSERT_GE(devices, need);
  }
  EXPECT_GT(possible, 1000);
}

TEST(CheapestSet, OneLargeOrTwoSmall) {
  EXPECT_EQ(cheapest_set(std::vector<Clearable>{{2, 5s}, {1, 2s}, {1, 2s}}, 2).members,
            (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(cheapest_set(std::vector<Clearable>{{2, 3s}, {1, 2s}, {1, 2s}}, 2).members, (std::vector<std::size_t>{0}));
  EXPECT_FALSE(cheapest_set(std::vector<Clearable>{{1, 1s}}, 2).possible);
}

}  // namespace
}  // namespace orrery
