#include <gtest/gtest.h>

#include <cmath>

#include "policies/predictor/bucket.hpp"
#include "policies/predictor/gaussian.hpp"
#include "policies/predictor/none.hpp"
#include "policies/predictor/oracle.hpp"

namespace orrery {
namespace {

Rng rng(std::uint64_t entity) { return Rng(1, Purpose::kPredictor, entity); }
Prediction guess(const LengthPredictor& p, int length, std::uint64_t entity = 0) {
  return p.predict(Call{}, Tokens32{length}, rng(entity));
}

TEST(Oracle, KnowsAndSaysSo) {
  const Oracle oracle({.cost = from_seconds(0.005)});
  EXPECT_EQ(guess(oracle, 123).low, Tokens32{123});
  EXPECT_EQ(guess(oracle, 123).high, Tokens32{123});
  EXPECT_EQ(guess(oracle, 123).cost, from_seconds(0.005));
  EXPECT_TRUE(oracle.oracle());
  EXPECT_FALSE(Bucket({}).oracle());
}

TEST(NoPredictor, PredictsNothing) { EXPECT_EQ(guess(NoPrediction({}), 123).high, Tokens32{0}); }

TEST(Bucket, BoundsContainTheLengthWhenItIsRight) {
  const Bucket perfect({.width = 50_tok, .accuracy = 1});
  EXPECT_EQ(guess(perfect, 1).low, Tokens32{1});
  EXPECT_EQ(guess(perfect, 50).high, Tokens32{50});
  EXPECT_EQ(guess(perfect, 51).low, Tokens32{51});
  EXPECT_EQ(guess(perfect, 51).high, Tokens32{100});
}

TEST(Bucket, IsWrongAsOftenAsItSaysAndByOneBucket) {
  const Bucket bucket({.width = 50_tok, .accuracy = 0.75});
  int right = 0, above = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const int high = guess(bucket, 120, static_cast<std::uint64_t>(i)).high.value();
    ASSERT_TRUE(high == 100 || high == 150 || high == 200) << high;
    right += high == 150, above += high == 200;
  }
  EXPECT_NEAR(right, 0.75 * kDraws, 4 * std::sqrt(kDraws * 0.75 * 0.25));      // four standard deviations
  EXPECT_NEAR(above, 0.125 * kDraws, 4 * std::sqrt(kDraws * 0.125 * 0.875));
}

TEST(Bucket, HasNoneBelowTheFirst) {
  const Bucket wrong({.width = 50_tok, .accuracy = 0});
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(guess(wrong, 7, i).high, Tokens32{100});
}

TEST(Gaussian, TheDefaultErrsBy62TokensOnAverage) {
  const Gaussian gaussian({});
  double sum = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i)   // far from 1, where it is cut off
    sum += std::abs(guess(gaussian, 5000, static_cast<std::uint64_t>(i)).high.value() - 5000);
  EXPECT_NEAR(sum / kDraws, 62, 4 * 47 / std::sqrt(kDraws));   // sd of |x| is 0.603 sigma
}

TEST(Gaussian, NeverPredictsLessThanOneToken) {
  for (std::uint64_t i = 0; i < 200; ++i) EXPECT_GE(guess(Gaussian({.sigma = 1000}), 1, i).high, Tokens32{1});
}

TEST(Gaussian, WithoutErrorIsExact) { EXPECT_EQ(guess(Gaussian({.sigma = 0}), 77).high, Tokens32{77}); }

}  // namespace
}  // namespace orrery
