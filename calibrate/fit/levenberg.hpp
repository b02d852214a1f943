/// Levenberg-Marquardt for positive coefficients of t = f(x; theta) on the residuals log f - log t, with the soft-L1
/// loss rho(r) = 2 s^2 (sqrt(1 + (r/s)^2) - 1), so that a few odd rows do not bend the roof (scale s = 0.1:
/// a row 10 % off starts to count less). Coefficients are fitted as logarithms. Numeric Jacobian; rows x coefficients
/// evaluations a step, about 30 steps.
///
///   auto theta = fit_positive({4e-6, 5e14}, rows, [&](std::span<const double> th, std::size_t i) { return f(th, x[i]) / t[i]; });
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace orrery {

/// Predicted over measured of one row; positive.
using RatioOf = std::function<double(std::span<const double> theta, std::size_t row)>;

std::vector<double> fit_positive(std::vector<double> guess, std::size_t rows, const RatioOf& ratio, double scale = 0.1,
                                 int steps = 60);

}  // namespace orrery
