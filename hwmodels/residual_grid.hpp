/// What a roof (laws.hpp) leaves over: the logarithm of measured over predicted time, on a grid of our own in the log2
/// features, in thousandths. Between knots it is multilinear; outside it holds the value of the edge. A lookup touches
/// 2^d knots for the d axes that have more than one, ~30 ns for three.
///
///   ResidualGrid g({{.start = 0, .step = 0.5, .count = 31}}, std::vector<std::int16_t>(31, 0));
///   double factor = fast_exp(g.at({3.2}));
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hwmodels/laws.hpp"
#include "sim/config/value.hpp"

namespace orrery {

class ResidualGrid {
 public:
  struct Axis {
    double start, step;  ///< log2 of the first knot, and the distance between knots
    int count;           ///< at least 1
    double end() const { return start + step * (count - 1); }
  };

  ResidualGrid() = default;  ///< zero everywhere
  /// Values in row-major order, the last axis fastest; as many as the product of the counts, or throws ConfigError.
  ResidualGrid(std::vector<Axis> axes, std::vector<std::int16_t> thousandths);

  double at(const Features& z) const;  ///< natural logarithm of the factor
  const std::vector<Axis>& axes() const { return axes_; }
  const std::vector<std::int16_t>& thousandths() const { return values_; }
  Features knot(std::size_t index) const;  ///< features of a value, by its position

 private:
  std::vector<Axis> axes_;
  std::vector<std::int16_t> values_;
};

/// As the files have it: axes, and the values as text, many a line.
Value to_value(const ResidualGrid& grid);
ResidualGrid residual_from_json(const Value& v);

}  // namespace orrery
