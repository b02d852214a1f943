/// Exact quantities and slots.
#include "sim/base/units.hpp"

#include <type_traits>

#include <gtest/gtest.h>

#include "sim/base/slot.hpp"

namespace orrery {
namespace {

TEST(Units, TimeIsExactInPicoseconds) {
  const Time t = Time{} + 40ms + 1us;
  EXPECT_EQ(to_ps(t), 40'001'000'000);
  EXPECT_EQ(to_ps(t - Time{}), 40'001'000'000);
  Time sum{};
  for (int i = 0; i < 10; ++i) sum += 100ms;
  EXPECT_EQ(sum, Time{} + 1s);
}

TEST(Units, SecondsRoundToTheNearestPicosecond) {
  EXPECT_EQ(from_seconds(0.1), Duration{100'000'000'000});
  EXPECT_EQ(from_seconds(1e-12), Duration{1});
  EXPECT_EQ(from_seconds(0.6e-12), Duration{1});
  EXPECT_EQ(from_seconds(0.4e-12), Duration{0});
  EXPECT_EQ(from_seconds(-0.6e-12), Duration{-1});
  EXPECT_EQ(to_seconds(from_seconds(3503.25)), 3503.25);
}

TEST(Units, TheHorizonIsAHundredDays) {
  EXPECT_GT(kNever, Time{} + std::chrono::hours{24 * 100});
  EXPECT_EQ(to_ps(kNever), std::numeric_limits<std::int64_t>::max());
}

TEST(Units, CountsAddCompareAndScaleWithinTheirTag) {
  Tokens left = 512_tok - 3_tok;
  left -= 9_tok;
  EXPECT_EQ(left, 500_tok);
  EXPECT_EQ(left * 2, 1000_tok);
  EXPECT_EQ(left / 3, 166_tok);
  EXPECT_EQ(left / 3_tok, 166);
  EXPECT_EQ(left % 3_tok, 2_tok);
  EXPECT_LT(-left, 0_tok);
}

TEST(Units, NarrowCountsWidenButNeverNarrowSilently) {
  const Tokens32 small{7};
  EXPECT_EQ(1_tok + small, 8_tok);
  EXPECT_EQ(narrow<Tokens32>(8_tok).value(), 8);
  static_assert(std::is_convertible_v<Tokens32, Tokens>);
  static_assert(!std::is_convertible_v<Tokens, Tokens32> && !std::is_constructible_v<Tokens32, Tokens>);
  static_assert(!std::is_convertible_v<Tokens, Bytes> && !std::is_convertible_v<Tokens, std::int64_t>);
}

TEST(Units, CeilDivRoundsUp) {
  EXPECT_EQ(ceil_div(0, 16), 0);
  EXPECT_EQ(ceil_div(1, 16), 1);
  EXPECT_EQ(ceil_div(16, 16), 1);
  EXPECT_EQ(ceil_div(17, 16), 2);
}

TEST(Slot, AStaleNameIsNotItsSuccessor) {
  const Slot<struct Thing> first{3, 1}, reused{3, 2}, none;
  EXPECT_NE(first, reused);
  EXPECT_TRUE(first.valid());
  EXPECT_FALSE(none.valid());
  EXPECT_FALSE(Id<struct Thing>{}.valid());
  EXPECT_LT(Id<struct Thing>{1}, Id<struct Thing>{2});
  static_assert(sizeof(Slot<struct Thing>) == 8);
}

}  // namespace
}  // namespace orrery
