#include "calibrate/fit/levenberg.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

namespace orrery {
namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

std::vector<double> exponentials(const VectorXd& u) {
  std::vector<double> theta(static_cast<std::size_t>(u.size()));
  for (Index j = 0; j < u.size(); ++j) theta[static_cast<std::size_t>(j)] = std::exp(u[j]);
  return theta;
}

VectorXd residuals(const VectorXd& u, std::size_t rows, const RatioOf& ratio) {
  const auto theta = exponentials(u);
  VectorXd r(static_cast<Index>(rows));
  for (std::size_t i = 0; i < rows; ++i) r[static_cast<Index>(i)] = std::log(ratio(theta, i));
  return r;
}

double loss(const VectorXd& r, double scale) {
  return 2 * scale * scale * ((1 + (r.array() / scale).square()).sqrt() - 1).sum();
}

}  // namespace

std::vector<double> fit_positive(std::vector<double> guess, std::size_t rows, const RatioOf& ratio, double scale,
                                 int steps) {
  const auto n = static_cast<Index>(guess.size());
  VectorXd u(n);
  for (Index j = 0; j < n; ++j) u[j] = std::log(guess[static_cast<std::size_t>(j)]);
  VectorXd r = residuals(u, rows, ratio);
  double best = loss(r, scale), damping = 1e-2;
  MatrixXd jacobian(r.size(), n);
  for (int step = 0; step < steps && damping < 1e8; ++step) {
    constexpr double kDelta = 1e-4;
    for (Index j = 0; j < n; ++j) {
      VectorXd moved = u;
      moved[j] += kDelta;
      jacobian.col(j) = (residuals(moved, rows, ratio) - r) / kDelta;
    }
    const VectorXd weight = (1 + (r.array() / scale).square()).sqrt().inverse();  // rho'(r) / r
    const MatrixXd normal = jacobian.transpose() * weight.asDiagonal() * jacobian;
    const VectorXd gradient = jacobian.transpose() * (weight.array() * r.array()).matrix();
    bool better = false;
    while (!better && damping < 1e8) {
      MatrixXd damped = normal;
      damped.diagonal().array() += damping * (normal.diagonal().array() + 1e-9);
      VectorXd move = -damped.ldlt().solve(gradient);
      move = move.cwiseMax(-1.5).cwiseMin(1.5);
      const VectorXd candidate = (u + move).cwiseMax(-80.0).cwiseMin(80.0);
      const VectorXd r2 = residuals(candidate, rows, ratio);
      const double value = loss(r2, scale);
      better = value < best;
      damping *= better ? 0.3 : 4;
      if (!better) continue;
      const double gain = best - value;
      u = candidate, r = r2, best = value;
      if (gain < 1e-7 * best) return exponentials(u);
    }
  }
  return exponentials(u);
}

}  // namespace orrery
