#include "calibrate/fit/least_squares.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

VectorXd non_negative_least_squares(const MatrixXd& a, const VectorXd& b) {
  const VectorXd scale = a.colwise().norm().transpose().cwiseMax(1e-300);
  const MatrixXd unit = a * scale.cwiseInverse().asDiagonal(), gram = unit.transpose() * unit;
  const VectorXd target = unit.transpose() * b;
  VectorXd x = VectorXd::Zero(a.cols());
  for (int sweep = 0; sweep < 20000; ++sweep) {
    double moved = 0;
    for (Index j = 0; j < x.size(); ++j) {
      const double better = std::max(0.0, x[j] + (target[j] - gram.row(j).dot(x)) / std::max(gram(j, j), 1e-300));
      moved = std::max(moved, std::abs(better - x[j]));
      x[j] = better;
    }
    if (moved < 1e-12 * std::max(1e-300, x.cwiseAbs().maxCoeff())) break;
  }
  return x.cwiseQuotient(scale);
}

}  // namespace orrery
