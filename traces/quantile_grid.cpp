#include "traces/quantile_grid.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {
namespace {

constexpr double kMillion = 1e6;

/// The exact function as breakpoints, and for each the integral of F up to it.
struct Steps { std::vector<double> x, u, integral; };

Steps steps_of(std::vector<std::int64_t>& values) {
  std::sort(values.begin(), values.end());
  Steps s;
  const auto add = [&s](double x, double u) {
    const double before = s.x.empty() ? 0 : s.integral.back() + (x - s.x.back()) * (u + s.u.back()) / 2;
    s.x.push_back(x);
    s.u.push_back(u);
    s.integral.push_back(before);
  };
  const auto n = static_cast<double>(values.size());
  for (std::size_t i = 0; i < values.size();) {
    const auto value = static_cast<double>(values[i]);
    if (s.x.empty() || s.x.back() != value) add(value, static_cast<double>(i) / n);
    while (i < values.size() && static_cast<double>(values[i]) == value) ++i;
    add(value + 1, static_cast<double>(i) / n);
  }
  return s;
}

/// Marks the knots between `a` and `b` that are needed (Douglas and Peucker, with the distance taken in u).
void split(const Steps& s, std::size_t a, std::size_t b, double ks, double area, std::vector<bool>& knot) {
  const double slope = (s.u[b] - s.u[a]) / (s.x[b] - s.x[a]);
  double worst = 0;
  std::size_t where = a;
  for (std::size_t i = a + 1; i < b; ++i) {
    const double gap = std::abs(s.u[a] + (s.x[i] - s.x[a]) * slope - s.u[i]);
    if (gap > worst) { worst = gap; where = i; }
  }
  const double straight = (s.x[b] - s.x[a]) * (s.u[a] + s.u[b]) / 2;
  if (where == a || (worst <= ks && std::abs(straight - (s.integral[b] - s.integral[a])) <= area)) return;
  knot[where] = true;
  split(s, a, where, ks, area, knot);
  split(s, where, b, ks, area, knot);
}

}  // namespace

QuantileGrid QuantileGrid::fit(std::vector<std::int64_t> values, double ks, double mean_error) {
  const Steps s = steps_of(values);
  double mean = 0;
  for (std::int64_t v : values) mean += static_cast<double>(v) / static_cast<double>(values.size());
  std::vector<bool> knot(s.x.size(), false);
  knot.front() = knot.back() = true;
  split(s, 0, s.x.size() - 1, ks, mean_error * mean / 8, knot);
  QuantileGrid g;
  for (std::size_t i = 0; i < s.x.size(); ++i) {
    if (!knot[i]) continue;
    g.x_.push_back(s.x[i]);
    g.u_.push_back(std::floor(s.u[i] * kMillion + 0.5) / kMillion);
  }
  g.finish();
  return g;
}

QuantileGrid QuantileGrid::from_value(const Value& v) {
  QuantileGrid g;
  for (const Value& x : v.at("x").items()) g.x_.push_back(static_cast<double>(x.as_int()));
  for (const Value& ppm : v.at("ppm").items()) g.u_.push_back(static_cast<double>(ppm.as_int()) / kMillion);
  const bool sized = g.x_.size() >= 2 && g.x_.size() == g.u_.size() && g.x_.size() < 65536;
  const bool rises =
      sized && std::is_sorted(g.u_.begin(), g.u_.end()) && g.u_.front() == 0 && g.u_.back() == 1 &&
      std::adjacent_find(g.x_.begin(), g.x_.end(), [](double a, double b) { return a >= b; }) == g.x_.end();
  if (!rises || g.x_.front() < 0) {
    throw ConfigError(v.where() + ": expected as many x as ppm, x rising from 0 or more, ppm rising from 0 to 1000000");
  }
  g.finish();
  return g;
}

Value QuantileGrid::to_value() const {
  Value v = Value::object();
  Value x = Value::array(), ppm = Value::array();
  for (double a : x_) x.push_back(static_cast<std::int64_t>(a));
  for (double u : u_) ppm.push_back(static_cast<std::int64_t>(std::floor(u * kMillion + 0.5)));
  v["x"] = std::move(x);
  v["ppm"] = std::move(ppm);
  return v;
}

void QuantileGrid::finish() {
  slope_.assign(x_.size(), 0);
  for (std::size_t k = 0; k + 1 < x_.size(); ++k) {
    if (u_[k + 1] > u_[k]) slope_[k] = (x_[k + 1] - x_[k]) / (u_[k + 1] - u_[k]);
  }
  guide_.assign(kGuide, 0);
  std::size_t k = 0;
  for (std::size_t g = 0; g < kGuide; ++g) {
    while (static_cast<double>(g) / kGuide >= u_[k + 1]) ++k;
    guide_[g] = static_cast<std::uint16_t>(k);
  }
}

double QuantileGrid::mean() const {
  double mean = 0;  // the mass of a value lies half a unit above it
  for (std::size_t k = 0; k + 1 < x_.size(); ++k) mean += (u_[k + 1] - u_[k]) * (x_[k] + x_[k + 1]) / 2;
  return mean - 0.5;
}

double QuantileGrid::cdf(std::int64_t value) const {
  const double x = static_cast<double>(value) + 1;
  if (x <= x_.front()) return 0;
  if (x >= x_.back()) return 1;
  const std::size_t k = static_cast<std::size_t>(std::upper_bound(x_.begin(), x_.end(), x) - x_.begin()) - 1;
  return u_[k] + (x - x_[k]) * (u_[k + 1] - u_[k]) / (x_[k + 1] - x_[k]);
}

}  // namespace orrery
