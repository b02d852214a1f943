#include "sim/metrics/verdict.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// y = intercept + slope * t + noise in [-1, 1) over 20 epochs of 10 s.
std::vector<Point> line(double intercept, double slope, std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 12);
  std::vector<Point> out;
  for (int i = 0; i < 20; ++i)
    out.push_back({10.0 * i, intercept + slope * 10 * i + 2 * rng.uniform() - 1});
  return out;
}

TEST(Trend, FitsALineExactly) {
  const std::vector<Point> points{{0, 1}, {1, 3}, {2, 5}, {3, 7}};
  EXPECT_DOUBLE_EQ(trend(points).slope, 2);
  EXPECT_NEAR(trend(points).half, 0, 1e-12);
}

/// Textbook case: x = 1..5, y = 2, 4, 5, 4, 5: slope 0.6, s = 0.894, standard error 0.2828, t(3) = 3.182.
TEST(Trend, IntervalIsStudents) {
  const std::vector<Point> points{{1, 2}, {2, 4}, {3, 5}, {4, 4}, {5, 5}};
  EXPECT_NEAR(trend(points).slope, 0.6, 1e-12);
  EXPECT_NEAR(trend(points).half, 3.182 * 0.282842712, 1e-6);
}

/// The interval holds the true slope in about 95 % of 400 noisy lines.
TEST(Trend, IntervalCoversTheTruth) {
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Trend t = trend(line(5, 0.01, seed));
    covered += t.slope - t.half <= 0.01 && 0.01 <= t.slope + t.half;
  }
  EXPECT_GE(covered, 400 * 0.92);
  EXPECT_LE(covered, 400 * 0.98);
}

TEST(Verdict, GrowingQueueIsOverloaded) {
  const Load load{200, 2000, 1700, 300};
  EXPECT_EQ(verdict(trend(line(0, 1.5, 1)), load), LoadState::kOverloaded);   // 300 of 2000 remain
  EXPECT_EQ(verdict(trend(line(5, 0, 1)), {200, 2000, 1995, 5}), LoadState::kStable);
}

/// Significant but a thousandth of what arrives: not overload.
TEST(Verdict, ATrendThatIsSmallAgainstTheArrivalsIsStable) {
  EXPECT_EQ(verdict(trend(line(5, 0.1, 1)), {200, 20000, 19950, 25}), LoadState::kStable);
}

TEST(Verdict, AQueueLeftAtTheEndIsBacklogged) {
  EXPECT_EQ(verdict(Trend{}, {0, 100, 0, 99}), LoadState::kBacklogged);       // all arrive at once
  EXPECT_EQ(verdict(Trend{}, {100, 1000, 900, 60}), LoadState::kBacklogged);
  EXPECT_EQ(verdict(Trend{}, {100, 1000, 900, 40}), LoadState::kStable);
  EXPECT_EQ(verdict(Trend{}, {1, 10, 3, 7}), LoadState::kStable);             // a handful
}

TEST(Mser, CutsTheRampAndNoMore) {
  std::vector<double> x{10, 30, 45, 52};                       // then noise around 55
  for (int i = 0; i < 20; ++i) x.push_back(55 + (i % 2 ? 1 : -1));
  EXPECT_EQ(mser(x), 4u);
}

TEST(Mser, CutsNothingFromASteadyOrShortSeries) {
  std::vector<double> steady;
  for (int i = 0; i < 24; ++i) steady.push_back(i % 2 ? 1 : -1);
  EXPECT_EQ(mser(steady), 0u);
  EXPECT_EQ(mser(std::vector<double>{0, 100, 100, 100, 100, 100, 100}), 0u);
}

/// The definition, summed plainly, over random series.
TEST(Mser, EqualsItsDefinition) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 13);
    std::vector<double> x;
    for (std::uint64_t i = 0; i < 8 + seed % 25; ++i) x.push_back(static_cast<double>(rng.below(1000)));
    std::size_t best = 0;
    double least = 0;
    for (std::size_t d = 0; d <= x.size() / 2; ++d) {
      double mean = 0, sum = 0;
      for (std::size_t i = d; i < x.size(); ++i) mean += x[i] / static_cast<double>(x.size() - d);
      for (std::size_t i = d; i < x.size(); ++i) sum += (x[i] - mean) * (x[i] - mean);
      const double score = sum / static_cast<double>((x.size() - d) * (x.size() - d));
      if (d == 0 || score < least) least = score, best = d;
    }
    EXPECT_EQ(mser(x), best) << "seed " << seed;
  }
}

}  // namespace
}  // namespace orrery
