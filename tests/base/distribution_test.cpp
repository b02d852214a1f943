/// Distributions: means, shapes and quantiles against theory, and the exact message of every mistake.
#include "sim/base/distribution.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

namespace orrery {
namespace {

struct Moments { double mean, deviation; };

Moments moments_of(const Distribution& d, int draws = 200'000) {
  double sum = 0, squares = 0;
  for (int n = 0; n < draws; ++n) {
    Rng rng(1, Purpose::kLength, static_cast<std::uint64_t>(n));
    const double x = d.sample(rng);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / draws;
  return {mean, std::sqrt(squares / draws - mean * mean)};
}

/// A mean within five standard errors, and a deviation within `slack` of theory.
void expect_moments(const char* text, double mean, double deviation, double slack = 0.02) {
  const Distribution d = Distribution::parse(text);
  const Moments m = moments_of(d);
  EXPECT_NEAR(m.mean, mean, 5 * deviation / std::sqrt(200'000.0) + 1e-9) << text;
  EXPECT_NEAR(m.deviation, deviation, slack * deviation + 1e-6) << text;
  EXPECT_NEAR(d.mean(), mean, 1e-9 * std::abs(mean)) << text;
  EXPECT_EQ(d.text(), text);
}

TEST(Distribution, MomentsAreThoseOfTheory) {
  expect_moments("12.5", 12.5, 0);
  expect_moments("uniform:820..1024", 922, 204 / std::sqrt(12.0));
  expect_moments("normal:2600,780", 2600, 780);
  expect_moments("lognormal:1155,0.5", 1155, 1155 * std::sqrt(std::exp(0.25) - 1));
  expect_moments("exponential:200", 200, 200);
  expect_moments("geometric:4", 4, std::sqrt(12.0));       // (1 - p) / p^2 with p = 1/4
  expect_moments("gamma:0.5,2", 0.5, 1, 0.05);
  expect_moments("gamma:3,0.25", 3, 0.75);
}

TEST(Distribution, ZipfMatchesItsWeights) {
  const Distribution d = Distribution::parse("zipf:1,1..4");   // weights 12, 6, 4, 3 of 25
  EXPECT_NEAR(d.mean(), (12 * 1 + 6 * 2 + 4 * 3 + 3 * 4) / 25.0, 1e-12);
  std::vector<int> seen(5);
  for (std::uint64_t n = 0; n < 100'000; ++n) {
    Rng rng(1, Purpose::kPrefix, n);
    ++seen[static_cast<std::size_t>(d.sample(rng))];
  }
  EXPECT_EQ(seen[0], 0);
  EXPECT_NEAR(seen[1], 48'000, 800);
  EXPECT_NEAR(seen[4], 12'000, 520);
}

/// With x^-1.5 the mean is sqrt(low * high), with x^-1 it is (high - low) / log(high / low); both invert by hand.
TEST(Distribution, PowerLawFindsItsExponent) {
  const Distribution steep = Distribution::parse("powerlaw:128,16..1024");
  const double root = 2 / (1.0 / 4 + 1.0 / 32);   // 1 / sqrt(x) is uniform between its values at the ends
  EXPECT_NEAR(steep.quantile(0.5), root * root, 1e-9 * root * root);
  const Distribution flat = Distribution::parse("powerlaw:" + std::to_string(1023 / std::log(1024.0)) + ",1..1024");
  EXPECT_NEAR(flat.quantile(0.5), 32, 1e-4);      // log x is uniform
  EXPECT_EQ(steep.mean(), 128);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) sum += steep.quantile((i + 0.5) / 100'000);
  EXPECT_NEAR(sum / 100'000, 128, 0.01);
  EXPECT_NEAR(steep.quantile(0), 16, 1e-9);
  EXPECT_EQ(steep.max(), 1024);
}

/// Normal quantiles against the distribution function of the C library.
TEST(Distribution, NormalQuantileInvertsTheErrorFunction) {
  for (double u : {1e-300, 1e-20, 1e-9, 1e-3, 0.02425, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1 - 1e-9}) {
    const double x = normal_quantile(u);
    EXPECT_NEAR(0.5 * std::erfc(-x / std::sqrt(2.0)) / u, 1, 1e-11) << u;
  }
  EXPECT_EQ(normal_quantile(0.5), 0);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
}

TEST(Distribution, QuantilesRiseWithU) {
  for (const char* text : {"uniform:1..9", "normal:5,2", "lognormal:5,1", "exponential:5", "geometric:5",
                           "zipf:1,1..50", "powerlaw:20,2..90"}) {
    const Distribution d = Distribution::parse(text);
    double last = -1e300;
    for (int i = 0; i < 1000; ++i) {
      const double x = d.quantile((i + 0.5) / 1000);
      EXPECT_GE(x, last) << text;
      last = x;
    }
  }
}

/// The same uniform number gives the longer draw under the larger mean: common random numbers.
TEST(Distribution, ALargerMeanNeverShortensADraw) {
  for (const char* family : {"lognormal:%g,1", "exponential:%g", "geometric:%g", "normal:%g,3"}) {
    char a[64], b[64];
    std::snprintf(a, sizeof a, family, 100.0);
    std::snprintf(b, sizeof b, family, 110.0);
    const Distribution small = Distribution::parse(a), large = Distribution::parse(b);
    for (std::uint64_t n = 0; n < 1000; ++n) {
      Rng x(1, Purpose::kLength, n), y(1, Purpose::kLength, n);
      EXPECT_LE(small.count(x), large.count(y)) << family;
    }
  }
}

TEST(Distribution, CountsAreWholeAndAtLeastOne) {
  const Distribution normal = Distribution::parse("normal:0,5"), uniform = Distribution::parse("uniform:2..4");
  std::vector<int> seen(5);
  for (std::uint64_t n = 0; n < 90'000; ++n) {
    Rng a(1, Purpose::kLength, n), b(2, Purpose::kLength, n);
    EXPECT_GE(normal.count(a), 1);
    ++seen.at(static_cast<std::size_t>(uniform.count(b)));
  }
  for (int k = 2; k <= 4; ++k) EXPECT_NEAR(seen[static_cast<std::size_t>(k)], 30'000, 5 * std::sqrt(30'000 * 2.0 / 3));
}

TEST(Distribution, NumbersMayCarryUnits) {
  const Distribution::Context seconds{
      [](std::string_view text) { return text == "20s" ? 20.0 : throw DistributionError("?"); }, {}};
  EXPECT_EQ(Distribution::parse("lognormal:20s,1.2", seconds).mean(), 20);
  EXPECT_EQ(Distribution::parse("20s", seconds).mean(), 20);
}

class EmpiricalFile : public testing::Test {
 protected:
  void SetUp() override { path_ = (std::filesystem::temp_directory_path() / "orrery_empirical_test.csv").string(); }
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const char* text) { std::ofstream(path_) << text; }
  std::string path_;
};

TEST_F(EmpiricalFile, DrawsTheValuesOfTheFile) {
  write("tokens\r\n30\r\n10\r\n20\r\n20\r\n");
  const Distribution d = Distribution::parse("empirical:" + path_);
  EXPECT_EQ(d.mean(), 20);
  EXPECT_EQ(d.min(), 10);
  EXPECT_EQ(d.max(), 30);
  EXPECT_EQ(d.quantile(0), 10);
  EXPECT_EQ(d.quantile(0.25), 20);
  EXPECT_EQ(d.quantile(0.74), 20);
  EXPECT_EQ(d.quantile(0.999), 30);
}

TEST_F(EmpiricalFile, ABadLineHasItsNumber) {
  write("tokens\n30\n1x\n");
  try {
    Distribution::parse("empirical:" + path_);
    FAIL();
  } catch (const DistributionError& e) {
    EXPECT_EQ(e.what(), path_ + ":3: expected a number, got \"1x\"");
  }
}

struct Mistake { const char *text, *message; };
class DistributionMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(DistributionMistakes, AreExplained) {
  try {
    Distribution::parse(GetParam().text);
    FAIL() << GetParam().text;
  } catch (const DistributionError& e) {
    EXPECT_STREQ(e.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DistributionMistakes, testing::Values(
    Mistake{"", "expected a number, got \"\""},
    Mistake{"twelve", "expected a number or NAME:PARAMETERS, got \"twelve\""},
    Mistake{"12x", "expected a number, got \"12x\""},
    Mistake{"nan", "expected a number or NAME:PARAMETERS, got \"nan\""},
    Mistake{"1e999", "expected a number, got \"1e999\""},
    Mistake{"uniform:5", "expected uniform:LOW..HIGH, got \"uniform:5\""},
    Mistake{"uniform:5..1", "expected uniform:LOW..HIGH with LOW <= HIGH, got \"uniform:5..1\""},
    Mistake{"normal:5", "expected normal:MEAN,DEVIATION, got \"normal:5\""},
    Mistake{"normal:5,-1", "normal: the deviation must not be negative, got -1"},
    Mistake{"lognormal:0,1", "lognormal: the mean must be positive, got 0"},
    Mistake{"lognormal:10,11", "lognormal: sigma must be in [0, 10], got 11"},
    Mistake{"exponential:", "expected exponential:MEAN, got \"exponential:\""},
    Mistake{"exponential:-1", "exponential: the mean must not be negative, got -1"},
    Mistake{"geometric:0.5", "geometric: the mean must be at least 1, got 0.5"},
    Mistake{"gamma:1,0", "gamma: the coefficient of variation must be in (0, 100], got 0"},
    Mistake{"zipf:1", "expected zipf:EXPONENT,FIRST..LAST, got \"zipf:1\""},
    Mistake{"zipf:-1,1..9", "zipf: the exponent must be in [0, 10], got -1"},
    Mistake{"zipf:1,0..9", "zipf: the first value must be at least 1, got 0"},
    Mistake{"zipf:1,1..2000000", "zipf: the range must hold between 1 and 1000000 values, got 2e+06"},
    Mistake{"powerlaw:256", "expected powerlaw:MEAN,LOW..HIGH, got \"powerlaw:256\""},
    Mistake{"powerlaw:256,0..9", "powerlaw: the lowest value must be positive, got 0"},
    Mistake{"powerlaw:9,9..8", "powerlaw: the highest value must be above the lowest, at most 1e9 times, got 8"},
    Mistake{"powerlaw:8,8..6144", "powerlaw: no exponent up to 20 gives this mean, got 8"},
    Mistake{"empirical:", "expected empirical:FILE, got \"empirical:\""},
    Mistake{"empirical:/no/such.csv", "/no/such.csv: cannot be read"},
    Mistake{"pareto:1,2", "unknown distribution \"pareto\" (known: a number, uniform, normal, lognormal, exponential, "
                          "geometric, gamma, zipf, powerlaw, empirical)"}));

}  // namespace
}  // namespace orrery
