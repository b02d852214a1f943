/// Intervals over replications. A replication is one run with its own seed; its results are independent of the others'.
///
///   Interval i = t_interval({0.41, 0.44, 0.39});     // 95 %: mean +- t(0.975, 2) * s / sqrt(3)
///
/// There is no interval (none, never one of zero width) for fewer than two values, for values that are not finite, and
/// where all are equal.
#pragma once

#include <optional>
#include <span>

namespace orrery {

struct Interval {
  double low = 0, high = 0;
};

double mean_of(std::span<const double> values);

/// 97.5 % quantile of Student's t with n >= 1 degrees of freedom, to 1e-4 (table to 30, then Cornish-Fisher; Abramowitz
/// and Stegun 26.7.5).
double student_t975(int degrees);

std::optional<Interval> t_interval(std::span<const double> values);

}  // namespace orrery
