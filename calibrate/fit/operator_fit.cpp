#include "calibrate/fit/operator_fit.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "calibrate/fit/levenberg.hpp"
#include "calibrate/fit/residual_fit.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

std::vector<Sample> shuffled(std::vector<Sample> rows, std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 1);
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[rng.below(i)]);
  return rows;
}

VectorXd feature_vector(const Features& z, std::size_t dimensions) {
  return Eigen::Map<const VectorXd>(z.data(), static_cast<Index>(dimensions));
}

std::vector<double> fit_roof(Op op, const std::vector<Sample>& rows, double sm_count) {
  std::vector<double> guess;
  for (const Coefficient& c : coefficients(op)) guess.push_back(c.guess);
  const std::size_t n = std::min<std::size_t>(rows.size(), 2500);
  return fit_positive(std::move(guess), n, [&](std::span<const double> theta, std::size_t i) {
    return law_seconds(op, theta, sm_count, rows[i].x) / rows[i].seconds;
  });
}

ResidualGrid residual_of(Op op, const std::vector<Sample>& rows, const std::vector<double>& theta,
                         const FitOptions& o) {
  const std::size_t n = std::min(rows.size(), o.anchors), d = feature_names(op).size();
  MatrixXd x(static_cast<Index>(n), static_cast<Index>(d));
  VectorXd y(static_cast<Index>(n));
  std::vector<std::uint64_t> shapes(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<Index>(i);
    x.row(row) = feature_vector(features(op, rows[i].x), d).transpose();
    shapes[i] = shape_key(op, rows[i].x);
    y[row] = std::log(rows[i].seconds / law_seconds(op, theta, o.sm_count, rows[i].x));
  }
  return fit_residual(x, y, o.grid, shapes);
}

}  // namespace

std::vector<ResidualGrid::Axis> default_grid(Op op) {
  if (op == Op::kGemm) return {{0, 0.5, 31}, {9, 0.5, 15}, {9, 0.5, 15}};
  if (op == Op::kPrefill) return {{3, 0.5, 23}, {6, 0.5, 17}, {0, 1, 7}, {6, 1, 2}};
  return {{0, 1, 15}, {1, 1, 17}, {0, 1, 7}, {6, 1, 2}, {0, 1, 4}};
}

OperatorModel fit_operator(Op op, const std::vector<Sample>& ordered, const FitOptions& o) {
  const auto rows = shuffled(ordered, o.seed);
  OperatorModel fit;
  fit.op = op;
  fit.theta = fit_roof(op, rows, o.sm_count);
  fit.sm_count = o.sm_count;
  fit.residual = residual_of(op, rows, fit.theta, o);
  for (std::size_t d = 0; d < fit.low.size(); ++d) {
    const auto by_feature = [&](const Sample& a, const Sample& b) {
      return features(op, a.x)[d] < features(op, b.x)[d];
    };
    const auto [low, high] = std::minmax_element(rows.begin(), rows.end(), by_feature);
    fit.low[d] = features(op, low->x)[d];
    fit.high[d] = features(op, high->x)[d];
  }
  return fit;
}

std::uint64_t shape_key(Op op, const Shape& x) {
  const bool matrix = op == Op::kGemm || op == Op::kGemmRows || op == Op::kExperts;
  const std::array<double, 3> parts = matrix               ? std::array{x[1], x[2], 0.0}
                                      : op == Op::kPrefill ? std::array{x[3], x[4], x[5]}
                                                           : std::array{x[2], x[3], x[4]};
  std::uint64_t key = 0;
  for (const double part : parts) key = hash_combine(key, static_cast<std::uint64_t>(part));
  return key;
}

HeldOut error_of(Op op, const std::vector<Sample>& rows, const std::vector<double>& predicted) {
  HeldOut e;
  e.rows = rows.size();
  std::vector<double> relative;
  std::map<std::uint64_t, std::pair<double, int>> shapes;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    relative.push_back(100 * std::abs(predicted[i] / rows[i].seconds - 1));
    const double error = std::log(predicted[i] / rows[i].seconds);
    auto& [sum, count] = shapes[shape_key(op, rows[i].x)];
    sum += error, ++count;
    e.bias += 100 * error / static_cast<double>(rows.size());
  }
  for (const auto& [key, shape] : shapes) {
    const double mean = 100 * shape.first / shape.second;
    e.sigma += mean * mean / static_cast<double>(shapes.size());
  }
  e.sigma = std::sqrt(e.sigma);
  e.mape = std::accumulate(relative.begin(), relative.end(), 0.0) /
           static_cast<double>(std::max<std::size_t>(rows.size(), 1));
  e.median = quantile(relative, 0.5);
  e.p95 = quantile(relative, 0.95);
  return e;
}

HeldOut held_out(Op op, const std::vector<Sample>& rows, const FitOptions& o, Fold kind, int folds) {
  std::vector<double> predicted(rows.size()), roof(rows.size());
  double clipped = 0;
  for (int fold = 0; fold < folds; ++fold) {
    const auto is_test = [&](const Sample& s) {
      std::uint64_t key = shape_key(op, s.x);
      for (std::size_t d = 0; kind == Fold::kRows && d < s.x.size(); ++d)
        key = hash_combine(key, static_cast<std::uint64_t>(s.x[d]));
      return mix64(key + o.seed) % static_cast<std::uint64_t>(folds) == static_cast<std::uint64_t>(fold);
    };
    std::vector<Sample> train;
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(train), [&](const Sample& s) { return !is_test(s); });
    if (train.size() == rows.size()) continue;
    const OperatorModel fit = fit_operator(op, train, o);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!is_test(rows[i])) continue;
      predicted[i] = fit.seconds(rows[i].x);
      roof[i] = law_seconds(op, fit.theta, o.sm_count, rows[i].x);
      clipped += std::abs(fit.residual.at(features(op, rows[i].x))) >= kResidualClip - 1e-3;
    }
  }
  HeldOut e = error_of(op, rows, predicted);
  e.roof_mape = error_of(op, rows, roof).mape;
  e.clipped = 100 * clipped / static_cast<double>(rows.size());
  return e;
}

}  // namespace orrery
