#include "sim/metrics/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "sim/base/math.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Values over many octaves, as latencies are: 2^u picoseconds, u uniform in [low, high).
std::vector<std::int64_t> values(std::uint64_t seed, int n, double low, double high) {
  Rng rng(seed, Purpose::kFuzz, 10);
  std::vector<std::int64_t> out;
  for (int i = 0; i < n; ++i) out.push_back(static_cast<std::int64_t>(fast_exp2(low + (high - low) * rng.uniform())));
  return out;
}

/// The definition: the ceil(p/100 n)-th smallest.
std::int64_t nearest_rank(std::vector<std::int64_t> v, int percent) {
  std::sort(v.begin(), v.end());
  const std::size_t rank = (v.size() * static_cast<std::size_t>(percent) + 99) / 100;
  return v[std::max<std::size_t>(rank, 1) - 1];
}

TEST(Histogram, PercentilesAreWithinATenthOfAPercentOfSorting) {
  for (const auto& [low, high] : {std::pair{0.0, 12.0}, {30.0, 44.0}, {39.0, 39.1}, {0.0, 62.0}}) {
    const auto v = values(1, 20000, low, high);
    Histogram h, exact(true);
    for (const auto x : v) h.add(x), exact.add(x);
    for (const int p : {1, 10, 50, 90, 95, 99, 100}) {
      const std::int64_t truth = nearest_rank(v, p);
      EXPECT_LE(std::fabs(static_cast<double>(h.percentile(p) - truth)), static_cast<double>(truth) / 1024) << p;
      EXPECT_EQ(exact.percentile(p), truth) << p;
    }
    EXPECT_EQ(h.min(), *std::min_element(v.begin(), v.end()));
    EXPECT_EQ(h.max(), *std::max_element(v.begin(), v.end()));
    Wide sum = 0;
    for (const auto x : v) sum += x;
    EXPECT_TRUE(h.sum() == sum);
  }
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (std::int64_t x = 0; x < 2048; ++x) h.add(x);
  for (int p = 1; p <= 100; ++p) EXPECT_EQ(h.percentile(p), (2048 * p + 99) / 100 - 1);
}

/// So many percentiles that buckets that differ anywhere would show.
void expect_same(const Histogram& a, const Histogram& b) {
  ASSERT_EQ(a.count(), b.count());
  ASSERT_TRUE(a.sum() == b.sum());
  ASSERT_EQ(a.min(), b.min());
  ASSERT_EQ(a.max(), b.max());
  for (int p = 1; p <= 400; ++p) ASSERT_EQ(a.percentile(p * 0.25), b.percentile(p * 0.25)) << p;
}

TEST(Histogram, ARunIsAsManySingleAdds) {
  Rng rng(1, Purpose::kFuzz, 11);
  for (int round = 0; round < 30; ++round) {
    const bool exact = round % 2 == 0;
    Histogram run(exact), single(exact);
    for (int i = 0; i < 20; ++i) {
      const auto k = static_cast<std::int64_t>(1 + rng.below(300)), n = static_cast<std::int64_t>(1 + rng.below(9));
      const auto first = static_cast<std::int64_t>(fast_exp2(45 * rng.uniform()));
      const std::int64_t step = static_cast<std::int64_t>(fast_exp2(40 * rng.uniform())) - 1;
      const std::int64_t down = first / k;  // a falling run stays positive
      const std::int64_t by = rng.below(4) == 0 ? -std::min(step, down) : step;
      run.add_run(first, by, k, n);
      for (std::int64_t j = 0; j < k; ++j) single.add(first + j * by, n);
    }
    expect_same(run, single);
  }
}

TEST(Histogram, MergingIsAddingAll) {
  Histogram a, b, all;
  for (const auto x : values(2, 3000, 20, 40)) a.add(x), all.add(x);
  for (const auto x : values(3, 3000, 35, 45)) b.add(x), all.add(x);
  a.merge(b);
  a.merge(Histogram());
  expect_same(a, all);
}

/// Buckets count to 2^32 by themselves: three with more, of which two come there by merging.
TEST(Histogram, CountsBeyondThirtyTwoBits) {
  constexpr std::int64_t many = 3'000'000'000;
  Histogram a, b;
  a.add(10, many);
  a.add(20, 5 * many);
  a.add(30, 7);
  b.add(10, many);
  b.add(20, 2 * many);
  b.add_run(30, 10, 2, many);   // 30 and 40
  a.merge(b);
  EXPECT_EQ(a.count(), 11 * many + 7);
  const double each = 100.0 / static_cast<double>(a.count());
  EXPECT_EQ(a.percentile(each * static_cast<double>(2 * many)), 10);
  EXPECT_EQ(a.percentile(each * static_cast<double>(2 * many + 2)), 20);
  EXPECT_EQ(a.percentile(each * static_cast<double>(9 * many)), 20);
  EXPECT_EQ(a.percentile(each * static_cast<double>(9 * many + 2)), 30);
  EXPECT_EQ(a.percentile(each * static_cast<double>(10 * many + 7)), 30);
  EXPECT_EQ(a.percentile(each * static_cast<double>(10 * many + 9)), 40);
}

/// 97 values and 3 misses: p97 is the largest value, p98 is a miss; the plain percentile knows of none.
TEST(Histogram, ShareWithinIsTheInverseOfPercentiles) {
  Histogram h, exact(true);
  EXPECT_EQ(h.share_within(5), 0);
  const auto v = values(2, 5000, 20, 40);
  for (const auto x : v) h.add(x), exact.add(x);
  h.add_miss(100), exact.add_miss(100);
  for (const std::int64_t at : {std::int64_t{0}, v[7], v[70], std::int64_t{1} << 41}) {
    const auto within = std::count_if(v.begin(), v.end(), [&](std::int64_t x) { return x <= at; });
    EXPECT_EQ(exact.share_within(at), static_cast<double>(within) / 5100);
    EXPECT_NEAR(h.share_within(at), static_cast<double>(within) / 5100, 1e-3);
    for (const double p : {1.0, 50.0, 99.0})
      EXPECT_EQ(h.share_within(at) >= p / 100, h.percentile_or_miss(p) <= at) << at << " " << p;
  }
}

TEST(Histogram, MissesAreInfinite) {
  Histogram h;
  for (std::int64_t x = 1; x <= 97; ++x) h.add(x);
  h.add_miss(3);
  EXPECT_EQ(h.percentile_or_miss(50), 50);
  EXPECT_EQ(h.percentile_or_miss(97), 97);
  EXPECT_EQ(h.percentile_or_miss(98), Histogram::kMiss);
  EXPECT_EQ(h.percentile(100), 97);
  EXPECT_EQ(Histogram().percentile_or_miss(99), 0);
}

}  // namespace
}  // namespace orrery
