#include "kernels/common/scalar.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/common/exponential.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

/// Every fp8 number is itself; everything between two neighbours goes to the nearer one, ties to the even one.
TEST(Scalar, Fp8RoundsToTheNearest) {
  EXPECT_EQ(from(Fp8{0x7e}), 448.0f);
  EXPECT_EQ(from(Fp8{0x01}), 0x1p-9f);
  EXPECT_EQ(from(Fp8{0x08}), 0x1p-6f);
  for (int b = 0; b < 0x7e; ++b) {
    const auto low = static_cast<std::uint8_t>(b), high = static_cast<std::uint8_t>(b + 1);
    const float x = from(Fp8{low}), y = from(Fp8{high}), middle = (x + y) / 2;
    ASSERT_LT(x, y);
    EXPECT_EQ((to<Fp8>(x).bits), low);
    EXPECT_EQ((to<Fp8>(-x).bits), low | 0x80);
    EXPECT_EQ((to<Fp8>(middle).bits), low % 2 ? high : low) << b;
    EXPECT_EQ((to<Fp8>(std::nextafterf(middle, 0.0f)).bits), low);
    EXPECT_EQ((to<Fp8>(std::nextafterf(middle, 1000.0f)).bits), high);
  }
  EXPECT_EQ(from(to<Fp8>(1e9f)), 448.0f);
  EXPECT_EQ(from(to<Fp8>(-1e9f)), -448.0f);
  EXPECT_TRUE(std::isnan(from(to<Fp8>(NAN))));
}

TEST(Scalar, Bf16RoundsToTheNearest) {
  EXPECT_EQ(to<Bf16>(1.0f).bits, 0x3f80);
  EXPECT_EQ(from(to<Bf16>(1.0f + 0x1p-8f)), 1.0f);                 // a tie, to the even
  EXPECT_EQ(from(to<Bf16>(1.0f + 0x3p-8f)), 1.0f + 0x1p-6f);
  EXPECT_TRUE(std::isnan(from(to<Bf16>(NAN))));
  for (float x : random_vector<float>(1000, "bf16", 3.7f))
    EXPECT_LE(std::fabs(from(to<Bf16>(x)) - x), std::fabs(x) * 0x1p-8f);
}

TEST(Scalar, HalvesEnclose) {
  for (float x : random_vector<float>(2000, "half")) {
    for (float y : {x * 1.2345f, x * 1e-4f, x * 1e-6f, x * 3e4f}) {
      const float low = from(half_at_most(y)), high = from(half_at_least(y));
      EXPECT_LE(low, y);
      EXPECT_GE(high, y);
      EXPECT_LE(high - low, std::max(std::fabs(y) * 0x1p-10f, 0x1p-24f)) << y;
    }
  }
  EXPECT_EQ(from(half_at_most(0.5f)), 0.5f);
  EXPECT_EQ(from(half_at_least(-2.0f)), -2.0f);
}

TEST(Exponential, IsWithinAFewUnits) {
  for (float x = -87; x < 88; x += 0.00917f) {
    const double exact = std::exp(static_cast<double>(x));
    ASSERT_NEAR(kernel_exp(x) / exact, 1, 2e-7) << x;
  }
  EXPECT_EQ(kernel_exp(0.0f), 1.0f);
  EXPECT_EQ(kernel_exp(-INFINITY), 0.0f);
  EXPECT_EQ(kernel_exp(-88.0f), 0.0f);
  EXPECT_EQ(kernel_exp(1000.0f), INFINITY);
}

}  // namespace
}  // namespace orrery
