/// Linear least squares whose coefficients cannot be negative: times of parts that add up.
///
///   Eigen::VectorXd x = non_negative_least_squares(a, b);      // O(columns^2) a sweep, at most 20,000 sweeps
#pragma once

#include <Eigen/Core>

namespace orrery {

/// Smallest sum of squares of a x - b with x >= 0; by coordinates, so a is to have few columns.
Eigen::VectorXd non_negative_least_squares(const Eigen::MatrixXd& a, const Eigen::VectorXd& b);

}  // namespace orrery
