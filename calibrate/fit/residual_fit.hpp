/// The residual of a law: a zero-mean Gaussian process over log2 features, clipped to a factor of two and baked onto a
/// grid of our own, the only form in which it is stored.
///
///   ResidualGrid g = fit_residual(x, log_of_measured_over_law, axes);      // x: one row a point
///
/// O(n^3 + grid points * n); n at most a few thousand.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "hwmodels/residual_grid.hpp"

namespace orrery {

inline constexpr double kResidualClip = 0.69314718055994531;  ///< a factor of two either way

/// `shapes`: what choose_scales leaves out at a time, one entry a row; none: single rows.
ResidualGrid fit_residual(const Eigen::MatrixXd& x, const Eigen::VectorXd& log_ratio,
                          const std::vector<ResidualGrid::Axis>& axes, std::span<const std::uint64_t> shapes = {});

/// Axes that cover the columns of x with knots `step` apart (one knot where a column is constant).
std::vector<ResidualGrid::Axis> covering_axes(const Eigen::MatrixXd& x, const std::vector<double>& step);

/// The q-quantile, nearest rank; 0 of nothing.
double quantile(std::vector<double> v, double q);

}  // namespace orrery
