/// A distribution over whole numbers as a few knots of its cumulative distribution function. The mass of value v is
/// spread over [v, v + 1) and the function is linear between knots, so atoms survive; knots are (x, parts per million).
/// Sampling is one guide-table look-up and one multiplication, monotone in u, made of exactly rounded operations: the
/// same bits everywhere.
///
///   QuantileGrid grid = QuantileGrid::fit(lengths, 0.003);   // |F_fit - F| <= 0.003 at every value
///   std::int64_t length = grid.at(rng.uniform());
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/value.hpp"

namespace orrery {

class QuantileGrid {
 public:
  QuantileGrid() = default;
  /// Fewest knots by recursive splitting such that the largest gap between the functions is at most `ks` and the mean
  /// is kept to about `mean_error` of itself. O(n log n). `values` must not be empty, nor negative.
  static QuantileGrid fit(std::vector<std::int64_t> values, double ks, double mean_error = 0.002);
  /// {"x": [...], "ppm": [...]}: both increasing (ppm weakly), ppm from 0 to 1000000. Throws ConfigError.
  static QuantileGrid from_value(const Value& v);
  Value to_value() const;

  /// u in [0, 1).
  std::int64_t at(double u) const {
    std::size_t k = guide_[static_cast<std::size_t>(u * kGuide)];
    while (u >= u_[k + 1]) ++k;
    const double x = x_[k] + (u - u_[k]) * slope_[k];
    return static_cast<std::int64_t>(x < x_[k + 1] ? x : x_[k + 1] - 1);   // rounding must not pass the knot
  }
  double mean() const;
  double cdf(std::int64_t x) const;          ///< share of draws <= x
  std::int64_t max() const { return static_cast<std::int64_t>(x_.back()) - 1; }
  std::size_t knots() const { return x_.size(); }

 private:
  static constexpr int kGuide = 256;
  void finish();

  std::vector<double> x_, u_, slope_;        ///< slope_[k] = (x_[k+1] - x_[k]) / (u_[k+1] - u_[k])
  std::vector<std::uint16_t> guide_;         ///< the last knot at or below each multiple of 1/256
};

}  // namespace orrery
