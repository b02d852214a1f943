/// Which implementation of a linear layer is fastest for how many rows (FlashDecoding++, section 5): for each (n, k) of
/// a model two numbers, measured beforehand: below `gemv_below` rows one row at a time on the plain cores, below
/// `flat_below` the flat product, from there on the large one.
///
///   GemmTable table;
///   table.set(fit_thresholds(4096, 4096, profile));                   // once a device
///   args.impl = table.choose(m, 4096, 4096);
///
/// A shape that was not profiled takes the thresholds of the nearest one (in log n, log k); an empty table those of
/// gemm_choice(). O(shapes) a lookup of an unknown one, O(log shapes) of a known one.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernels/gemm/gemm.hpp"

namespace orrery {

struct GemmThresholds {
  std::int64_t n = 0, k = 0;
  std::int64_t gemv_below = 2, flat_below = 65;         ///< rows; gemv_below <= flat_below
};

/// Measured times of one (n, k), all in one unit; infinity where an implementation does not do that m.
struct GemmProfile {
  std::vector<std::int64_t> m;                          ///< ascending
  std::vector<double> gemv, flat, large;                ///< of each m
};

/// The two thresholds with the least sum of log time over the profile: noise at one m moves them little. O(m^2).
GemmThresholds fit_thresholds(std::int64_t n, std::int64_t k, const GemmProfile& profile);

/// By how much the choice is slower than the best of the three at the worst m of the profile; 0 = never.
double worst_regret(const GemmThresholds& thresholds, const GemmProfile& profile);

class GemmTable {
 public:
  void set(const GemmThresholds& thresholds) { shapes_[{thresholds.n, thresholds.k}] = thresholds; }
  GemmImpl choose(std::int64_t m, std::int64_t n, std::int64_t k) const;

 private:
  std::map<std::pair<std::int64_t, std::int64_t>, GemmThresholds> shapes_;
};

}  // namespace orrery
