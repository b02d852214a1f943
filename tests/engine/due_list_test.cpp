#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/due_list.hpp"

namespace orrery {
namespace {

TEST(DueList, ComesOutByClockLastTokensFirst) {
  Rng rng(1, Purpose::kFuzz, 5);
  DueList list;
  for (int i = 0; i < 500; ++i)
    list.insert({static_cast<std::int64_t>(rng.below(40)), static_cast<std::uint32_t>(rng.below(1000)),
                 rng.below(2) == 0});
  std::vector<std::tuple<std::int64_t, bool>> out;
  for (; !list.empty(); list.pop()) {
    ASSERT_EQ(list.next_clock(), list.front().clock);
    out.emplace_back(list.front().clock, !list.front().last);
  }
  EXPECT_EQ(out.size(), 500u);
  EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
}

TEST(DueList, KeepsAllOfTheLargestEntryAndRefusesALargerOne) {
  DueList list;
  const std::uint32_t slot = (std::uint32_t{1} << DueList::kSlotBits) - 1;
  list.insert({DueList::kClocks - 1, slot, false});
  EXPECT_EQ(list.front().clock, DueList::kClocks - 1);
  EXPECT_EQ(list.front().slot, slot);
  EXPECT_FALSE(list.front().last);
  EXPECT_THROW(list.insert({DueList::kClocks, 0, true}), std::length_error);
  EXPECT_THROW(list.insert({0, slot + 1, true}), std::length_error);
}

}  // namespace
}  // namespace orrery
