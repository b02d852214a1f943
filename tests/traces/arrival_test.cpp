/// Arrival processes against theory: rate, burstiness, shape; every bound can fail.
#include "traces/arrival.hpp"

#include <cmath>
#include <map>

#include "tests/traces/support.hpp"

namespace orrery {
namespace {

struct Gaps { double mean, cv; };

Gaps gaps_of(ArrivalProcess& p, int n) {
  double sum = 0, squares = 0;
  Time last{};
  for (int i = 0; i < n; ++i) {
    const Time t = p.next();
    EXPECT_GE(t, last);
    const double gap = to_seconds(t - last);
    sum += gap;
    squares += gap * gap;
    last = t;
  }
  const double mean = sum / n;
  return {mean, std::sqrt(std::max(squares / n - mean * mean, 0.0)) / mean};
}

TEST(Arrivals, ConstantIsAsRegularAsPicosecondsAllow) {
  auto p = make_constant(3);
  for (int i = 1; i <= 9; ++i) EXPECT_EQ(to_ps(p->next()), i * 333'333'333'333);
}

TEST(Arrivals, PoissonHasItsRateAndACoefficientOfVariationOfOne) {
  constexpr int kN = 200'000;
  auto p = make_poisson(12, 1);
  const Gaps g = gaps_of(*p, kN);
  EXPECT_NEAR(g.mean, 1 / 12.0, 4 / 12.0 / std::sqrt(kN));
  EXPECT_NEAR(g.cv, 1, 4 / std::sqrt(kN));   // the deviation of an estimated cv of exponential gaps is 1 / sqrt(n)
}

/// The variance of counts in windows equals their mean (index of dispersion 1): what uncorrelated exponential gaps do.
TEST(Arrivals, PoissonCountsAreDispersedLikePoisson) {
  auto p = make_poisson(10, 2);
  std::map<std::int64_t, int> counts;
  constexpr int kWindows = 20'000;
  for (Time t; (t = p->next()) < Time{} + std::chrono::seconds{kWindows};) ++counts[to_ps(t) / 1'000'000'000'000];
  double sum = 0, squares = 0;
  for (int w = 0; w < kWindows; ++w) {
    sum += counts[w];
    squares += static_cast<double>(counts[w]) * counts[w];
  }
  const double mean = sum / kWindows, variance = squares / kWindows - mean * mean;
  EXPECT_NEAR(variance / mean, 1, 4 * std::sqrt(2.0 / kWindows));
}

class GammaArrivals : public testing::TestWithParam<double> {};

TEST_P(GammaArrivals, HaveTheirRateAndCoefficientOfVariation) {
  constexpr int kN = 400'000;
  const double cv = GetParam();
  auto p = make_gamma(5, cv, 3);
  const Gaps g = gaps_of(*p, kN);
  EXPECT_NEAR(g.mean, 0.2, 4.5 * 0.2 * cv / std::sqrt(kN));
  EXPECT_NEAR(g.cv / cv, 1, 0.02);
}

INSTANTIATE_TEST_SUITE_P(Cv, GammaArrivals, testing::Values(0.1, 0.5, 1.0, 2.0, 4.0));

/// On for 5 s (exponential), off for 15 s: the rate inside a phase is four times the mean, none outside.
TEST(Arrivals, OnOffKeepsItsMeanRateAndIsSilentWhileOff) {
  auto p = make_onoff(8, Distribution::parse("exponential:5"), Distribution::parse("15"), 4);
  Time last{};
  int silences = 0, n = 0;
  for (; last < Time{} + std::chrono::seconds{100'000}; ++n) {
    const Time t = p->next();
    silences += t - last > 14900ms;
    last = t;
  }
  // 5000 cycles of 20 s on average, whose on time has a deviation of 5 s: 1.4 % of the arrivals, and the bound is 4
  // times that.
  EXPECT_NEAR(n / to_seconds(last), 8, 0.45);
  EXPECT_NEAR(silences, 5000, 250);
}

TEST(Arrivals, OnOffWithFixedPhasesArrivesOnlyWhileOn) {
  auto p = make_onoff(2, Distribution::constant(1), Distribution::constant(3), 5);
  for (int i = 0; i < 10'000; ++i) EXPECT_LT(to_ps(p->next()) % 4'000'000'000'000, 1'000'000'000'000 + 1000);
}

TEST(Arrivals, ProfileFollowsItsTableAndEnds) {
  auto p = make_profile({{0, 5}, {1000, 50}, {2000, 0}, {3000, 20}, {4000, 0}}, 6);
  int counts[5] = {};
  for (Time t; (t = p->next()) != kNever;) ++counts[to_ps(t) / 1'000'000'000'000'000];
  EXPECT_NEAR(counts[0], 5'000, 4 * std::sqrt(5'000.0));
  EXPECT_NEAR(counts[1], 50'000, 4 * std::sqrt(50'000.0));
  EXPECT_EQ(counts[2], 0);
  EXPECT_NEAR(counts[3], 20'000, 4 * std::sqrt(20'000.0));
  EXPECT_EQ(counts[4], 0);
  EXPECT_EQ(p->next(), kNever);
}

/// Twice the rate, the same gaps at half the length: common random numbers across rates.
TEST(Arrivals, GapsScaleWithTheRate) {
  for (double cv : {0.0, 2.0}) {
    auto slow = cv > 0 ? make_gamma(4, cv, 7) : make_poisson(4, 7),
         fast = cv > 0 ? make_gamma(8, cv, 7) : make_poisson(8, 7);
    for (int i = 0; i < 1000; ++i) EXPECT_NEAR(to_seconds(slow->next()) / 2, to_seconds(fast->next()), 1e-9);
  }
}

TEST(Arrivals, SeedsDiffer) { EXPECT_NE(make_poisson(1, 1)->next(), make_poisson(1, 2)->next()); }

TEST(Arrivals, NothingArrivesBeyondTheHorizon) {
  auto p = make_poisson(1e-6, 1);   // a gap of 11 days on average; the horizon is 104
  Time t{}, last{};
  while ((t = p->next()) != kNever) last = t;
  EXPECT_LT(last, Time{} + std::chrono::seconds{kMaxTraceSeconds});
  EXPECT_EQ(p->next(), kNever);
}

TEST(Profile, ReadsItsFile) {
  Folder folder;
  const auto steps = read_profile(folder.write("r.csv", "t_s,rate\r\n0,2\r\n60,0.5\r\n"));
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[1].start_s, 60);
  EXPECT_EQ(steps[1].rate, 0.5);
}

TEST(Profile, TellsEveryBadRow) {
  Folder folder;
  const std::string path = folder.write("r.csv", "t_s,rate\n1,2\n0,x\n0,3\n0,4\n5,-1\n-5,1\n7\n");
  EXPECT_EQ(message_of([&] { read_profile(path); }),
            path + ":2: t_s: the first row must be at 0, got \"1,2\"\n" +
            path + ":3: expected two numbers t_s,rate, got \"0,x\"\n" +
            path + ":5: t_s: must increase from row to row, got \"0,4\"\n" +
            path + ":6: rate: expected a number in [0, 1e9], got \"5,-1\"\n" +
            path + ":7: t_s: expected seconds in [0, 9000000], got \"-5,1\"\n" +
            path + ":8: expected two numbers t_s,rate, got \"7\"");
  const std::string other = folder.write("s.csv", "time,rate\n0,1\n");
  EXPECT_EQ(message_of([&] { read_profile(other); }), other + ":1: expected the header t_s,rate, got \"time,rate\"");
  const std::string none = folder.write("n.csv", "t_s,rate\n");
  EXPECT_EQ(message_of([&] { read_profile(none); }), none + ": holds no rates");
}

}  // namespace
}  // namespace orrery
