#include "kernels/gemm/choice.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace orrery {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// One row at a time costs 1 each; flat is 3.5 up to 64 rows; large is 5 + m / 64.
GemmProfile lines() {
  GemmProfile p;
  for (std::int64_t m : {1, 2, 3, 4, 8, 16, 32, 64, 128, 256}) {
    p.m.push_back(m);
    p.gemv.push_back(static_cast<double>(m));
    p.flat.push_back(m <= 64 ? 3.5 : kNever);
    p.large.push_back(5 + static_cast<double>(m) / 64);
  }
  return p;
}

TEST(GemmThresholds, AreWhereTheLinesCross) {
  const GemmThresholds t = fit_thresholds(4096, 4096, lines());
  EXPECT_EQ(t.gemv_below, 4);
  EXPECT_EQ(t.flat_below, 128);
  EXPECT_EQ(worst_regret(t, lines()), 0);
}

TEST(GemmThresholds, NoiseAtOnePointDoesNotMoveThem) {
  GemmProfile p = lines();
  p.large[5] = 3.4;                                     // 16 rows, 3 % faster than flat
  const GemmThresholds t = fit_thresholds(4096, 4096, p);
  EXPECT_EQ(t.gemv_below, 4);
  EXPECT_EQ(t.flat_below, 128);
  EXPECT_NEAR(worst_regret(t, p), 3.5 / 3.4 - 1, 1e-12);
}

TEST(GemmThresholds, AnImplementationThatNeverWinsIsNotTaken) {
  GemmProfile p = lines();
  for (double& x : p.flat) x = 100;
  const GemmThresholds t = fit_thresholds(4096, 4096, p);
  EXPECT_EQ(t.gemv_below, t.flat_below);
  EXPECT_EQ(t.gemv_below, 8);                           // at 8 rows 8 > 5 + 1 / 8
  for (std::size_t i = 0; i < p.m.size(); ++i) p.gemv[i] = 100, p.large[i] = 1;
  EXPECT_EQ(fit_thresholds(1, 1, p).flat_below, 1);     // always large
  for (std::size_t i = 0; i < p.m.size(); ++i) p.gemv[i] = 0.5;
  EXPECT_EQ(fit_thresholds(1, 1, p).gemv_below, 257);   // always one row at a time
}

TEST(GemmTable, KnowsItsShapesAndTakesTheNearestForOthers) {
  GemmTable table;
  EXPECT_EQ(table.choose(1, 64, 64), gemm_choice(1));
  EXPECT_EQ(table.choose(65, 64, 64), gemm_choice(65));
  table.set({.n = 4096, .k = 4096, .gemv_below = 3, .flat_below = 33});
  table.set({.n = 16384, .k = 4096, .gemv_below = 2, .flat_below = 17});
  EXPECT_EQ(table.choose(2, 4096, 4096), GemmImpl::kGemv);
  EXPECT_EQ(table.choose(32, 4096, 4096), GemmImpl::kFlat);
  EXPECT_EQ(table.choose(33, 4096, 4096), GemmImpl::kLarge);
  EXPECT_EQ(table.choose(17, 16384, 4096), GemmImpl::kLarge);
  EXPECT_EQ(table.choose(17, 14336, 4096), GemmImpl::kLarge);   // near the second
  EXPECT_EQ(table.choose(17, 6144, 4096), GemmImpl::kFlat);     // near the first
}

}  // namespace
}  // namespace orrery
