#include "sim/metrics/verdict.hpp"

#include <cmath>

namespace orrery {
namespace {

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
double student95(std::size_t freedom) {
  static constexpr double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                     2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                     2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  return freedom <= std::size(table) ? table[freedom - 1] : 1.960;
}

}  // namespace

Trend trend(std::span<const Point> points) {
  Trend t{0, 0, points.size()};
  if (points.size() < 3) return t;
  const auto n = static_cast<double>(points.size());
  double x = 0, y = 0;
  for (const Point& p : points) x += p.time_s / n, y += p.value / n;
  double xx = 0, xy = 0, yy = 0;
  for (const Point& p : points) {
    xx += (p.time_s - x) * (p.time_s - x);
    xy += (p.time_s - x) * (p.value - y);
    yy += (p.value - y) * (p.value - y);
  }
  if (xx <= 0) return t;
  t.slope = xy / xx;
  const double residual = std::fmax(0.0, yy - t.slope * xy);
  t.half = student95(points.size() - 2) * std::sqrt(residual / (n - 2) / xx);
  return t;
}

LoadState verdict(const Trend& queue, const Load& load) {
  const double growth = queue.slope * load.window_s;
  if (queue.points >= 4 && queue.slope - queue.half > 0 && growth >= 0.02 * static_cast<double>(load.arrived))
    return LoadState::kOverloaded;
  const bool long_queue = static_cast<double>(load.waiting) > 0.05 * static_cast<double>(load.completed);
  return load.waiting >= 8 && long_queue ? LoadState::kBacklogged : LoadState::kStable;
}

std::size_t mser(std::span<const double> means) {
  const std::size_t n = means.size();
  if (n < 8) return 0;
  double sum = 0, square = 0, best = 0;
  std::size_t cut = 0;
  // Values relative to the last, so that the difference of squares keeps its digits.
  const double origin = means[n - 1];
  for (std::size_t d = n; d-- > 0;) {
    const double v = means[d] - origin;
    sum += v;
    square += v * v;
    const auto left = static_cast<double>(n - d);
    const double score = std::fmax(0.0, square - sum * sum / left) / (left * left);
    if (d <= n / 2 && (d == n / 2 || score <= best)) {
      best = score;
      cut = d;
    }
  }
  return cut;
}

}  // namespace orrery
