/// exp2, log2 and friends against the C library, on all of their range.
#include "sim/base/math.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

double relative(double got, double want) { return want == 0 ? std::abs(got) : std::abs(got - want) / std::abs(want); }

TEST(Math, Exp2IsWithinOneInTenToTheFifteenOverTheWholeRange) {
  Rng rng(1, Purpose::kFuzz, 0);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double x = -1022 + rng.uniform() * 2046;
    worst = std::max(worst, relative(fast_exp2(x), std::exp2(x)));
  }
  EXPECT_LT(worst, 1e-15);
}

TEST(Math, Log2IsWithinOneInTenToTheFifteenAlsoNearOne) {
  Rng rng(1, Purpose::kFuzz, 1);
  double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const double wide = std::exp2(-1000 + rng.uniform() * 2000), near = 1 + (rng.uniform() - 0.5) * 1e-3;
    worst = std::max({worst, relative(fast_log2(wide), std::log2(wide)), relative(fast_log2(near), std::log2(near))});
  }
  EXPECT_LT(worst, 1e-15);
}

TEST(Math, WholePowersOfTwoAreExact) {
  for (int n = -1022; n <= 1023; ++n) {
    EXPECT_EQ(fast_exp2(n), std::ldexp(1.0, n)) << n;
    EXPECT_EQ(fast_log2(std::ldexp(1.0, n)), n);
  }
}

TEST(Math, TopOfTheRangeIsFinite) {
  EXPECT_LT(relative(fast_exp2(1023.75), std::exp2(1023.75)), 1e-15);
  EXPECT_TRUE(std::isfinite(fast_exp2(std::nextafter(1024.0, 0.0))));
  EXPECT_EQ(fast_exp2(1024), HUGE_VAL);
}

TEST(Math, DomainErrorsAreThoseOfIeee) {
  EXPECT_EQ(fast_log2(0), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(fast_log2(-1)));
  EXPECT_TRUE(std::isnan(fast_log2(std::nan(""))));
  EXPECT_EQ(fast_log2(HUGE_VAL), HUGE_VAL);
  EXPECT_NEAR(fast_log2(5e-324), -1074, 1e-12);   // the smallest subnormal
  EXPECT_EQ(fast_exp2(-1023), 0);
  EXPECT_TRUE(std::isnan(fast_exp2(std::nan(""))));
}

TEST(Math, PowersOfZero) {
  EXPECT_EQ(fast_pow(0, 2), 0);
  EXPECT_EQ(fast_pow(0, 0), 1);
  EXPECT_EQ(fast_pow(0, -1), HUGE_VAL);
  EXPECT_LT(relative(fast_pow(1155, 1.1), std::pow(1155, 1.1)), 1e-14);
  EXPECT_LT(relative(fast_exp(1), std::exp(1.0)), 1e-15);
  EXPECT_LT(relative(fast_log(10), std::log(10.0)), 1e-15);
}

/// The bits themselves: a change of compiler, flags or formula that moves one of them moves every fingerprint.
TEST(Math, BitsAreFixed) {
  std::uint64_t hash = 0;
  Rng rng(1, Purpose::kFuzz, 2);
  for (int i = 0; i < 10'000; ++i) {
    hash = hash_combine(hash, std::bit_cast<std::uint64_t>(fast_exp2(rng.uniform() * 2000 - 1000)));
    hash = hash_combine(hash, std::bit_cast<std::uint64_t>(fast_log2(rng.uniform_positive())));
  }
  EXPECT_EQ(hash, 1351976923615371689ull);
}

static_assert(fast_exp2(10) == 1024 && fast_log2(1024) == 10, "usable at compile time");

}  // namespace
}  // namespace orrery
