/// Counter-based random numbers: independent of order, even, and unlike between neighbours.
#include "sim/base/rng.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

namespace orrery {
namespace {

TEST(Rng, ADrawDependsOnItsKeyAlone) {
  Rng a(7, Purpose::kLength, 42);
  const double first = a.uniform();
  Rng other(7, Purpose::kLength, 41);
  other.uniform();
  Rng b(7, Purpose::kLength, 42);
  EXPECT_EQ(b.uniform(), first);
}

TEST(Rng, SeedPurposeAndEntityEachChangeIt) {
  std::unordered_set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::uint32_t purpose = 1; purpose <= 15; ++purpose) {
      for (std::uint64_t entity = 0; entity < 100; ++entity) {
        Rng rng(seed, static_cast<Purpose>(purpose), entity);
        for (int i = 0; i < 3; ++i) seen.insert(rng.next());
      }
    }
  }
  EXPECT_EQ(seen.size(), 20u * 15 * 100 * 3);   // a collision among 9e4 of 2^64 has probability 2e-10
}

/// Pearson's chi-square over 256 cells, of first draws of consecutive entities: the pattern in which they are used.
TEST(Rng, FirstDrawsOfConsecutiveEntitiesAreEven) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::array<double, 256> cells{};
    constexpr int kDraws = 256'000;
    for (std::uint64_t n = 0; n < kDraws; ++n)
      ++cells[static_cast<std::size_t>(Rng(seed, Purpose::kArrival, n).uniform() * 256)];
    double chi = 0;
    for (double c : cells) chi += (c - 1000) * (c - 1000) / 1000;
    EXPECT_GT(chi, 255 - 5 * std::sqrt(2 * 255.0)) << seed;
    EXPECT_LT(chi, 255 + 5 * std::sqrt(2 * 255.0)) << seed;
  }
}

TEST(Rng, NeighboursAreUncorrelated) {
  constexpr int kDraws = 200'000;
  double entity = 0, stream = 0, seed = 0;
  for (std::uint64_t n = 0; n < kDraws; ++n) {
    Rng a(3, Purpose::kLength, n), b(3, Purpose::kLength, n + 1), c(4, Purpose::kLength, n);
    const double x = a.uniform() - 0.5;
    entity += x * (b.uniform() - 0.5);
    stream += x * (a.uniform() - 0.5);
    seed += x * (c.uniform() - 0.5);
  }
  const double deviation = 1.0 / 12 * std::sqrt(static_cast<double>(kDraws));   // of a sum of such products
  for (double sum : {entity, stream, seed}) EXPECT_LT(std::abs(sum), 4.5 * deviation);
}

TEST(Rng, UniformStaysInItsInterval) {
  Rng rng(1, Purpose::kFuzz, 0);
  double low = 1, high = 0, positive = 1;
  for (int i = 0; i < 1'000'000; ++i) {
    const double u = rng.uniform();
    low = std::min(low, u);
    high = std::max(high, u);
    positive = std::min(positive, rng.uniform_positive());
  }
  EXPECT_GE(low, 0);
  EXPECT_LT(high, 1);
  EXPECT_GT(positive, 0);
  EXPECT_LT(low, 1e-4);
  EXPECT_GT(high, 1 - 1e-4);
}

TEST(Rng, BelowIsEvenOverOddRanges) {
  std::array<int, 7> cells{};
  Rng rng(2, Purpose::kRouter, 0);
  for (int i = 0; i < 700'000; ++i) ++cells[rng.below(7)];
  for (int c : cells) EXPECT_NEAR(c, 100'000, 5 * std::sqrt(100'000.0 * 6 / 7));
  EXPECT_EQ(rng.below(1), 0u);
}

/// SplitMix64's published first output for state 0 (Vigna's reference: 0xe220a8397b1dcdaf) is mix64 of one increment.
TEST(Rng, MixerIsSplitMix64) { EXPECT_EQ(mix64(0x9e3779b97f4a7c15ull), 0xe220a8397b1dcdafull); }

TEST(Rng, HashDependsOnOrder) { EXPECT_NE(hash_combine(hash_combine(0, 1), 2), hash_combine(hash_combine(0, 2), 1)); }

}  // namespace
}  // namespace orrery
