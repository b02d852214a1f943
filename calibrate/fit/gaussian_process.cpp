#include "calibrate/fit/gaussian_process.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace orrery {
namespace {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

/// (1 + sqrt(3) r) exp(-sqrt(3) r) of the distances r^2, in place.
void matern(Eigen::Ref<MatrixXd> squared) {
  squared = (3 * squared.array().max(0)).sqrt().matrix();
  squared = ((1 + squared.array()) * (-squared.array()).exp()).matrix();
}

MatrixXd kernel(const MatrixXd& columns) {
  const VectorXd norms = columns.colwise().squaredNorm();
  MatrixXd k = -2 * columns.transpose() * columns;
  k.colwise() += norms;
  k.rowwise() += norms.transpose();
  matern(k);
  return k;
}

MatrixXd scaled_columns(const MatrixXd& x, const VectorXd& length) {
  return (x.array().rowwise() / length.transpose().array()).matrix().transpose();
}

using Groups = std::vector<std::vector<Index>>;

Groups members_of(std::span<const std::uint64_t> group, Index n) {
  std::map<std::uint64_t, std::vector<Index>> by_key;
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::uint64_t>(i);
    by_key[group.empty() ? at : group[at]].push_back(i);
  }
  Groups groups;
  for (auto& [key, members] : by_key) groups.push_back(std::move(members));
  return groups;
}

/// Mean absolute error of each group from the others: with P = K^-1 and alpha = P y, the errors of a group g are
/// P_gg^-1 alpha_g (the block form of Rasmussen and Williams 5.12).
double leave_group_out(const MatrixXd& x, const VectorXd& y, const Groups& groups, const GpScales& s) {
  MatrixXd k = kernel(scaled_columns(x, s.length));
  k.diagonal().array() += s.nugget;
  const MatrixXd inverse = k.llt().solve(MatrixXd::Identity(k.rows(), k.rows()));
  const VectorXd alpha = inverse * y;
  double sum = 0;
  for (const auto& g : groups) sum += MatrixXd(inverse(g, g)).llt().solve(VectorXd(alpha(g))).cwiseAbs().sum();
  return sum / static_cast<double>(y.size());
}

}  // namespace

GpScales choose_scales(const MatrixXd& x, const VectorXd& y, std::span<const std::uint64_t> group, Index subset) {
  const Index n = std::min(subset, x.rows());
  const MatrixXd xs = x.topRows(n);
  const VectorXd ys = y.head(n);
  const Groups groups = members_of(group, n);
  GpScales best{VectorXd::Constant(x.cols(), 2.0), 0.02, 0};
  best.error = leave_group_out(xs, ys, groups, best);
  const auto try_scales = [&](const GpScales& s) {
    const double error = leave_group_out(xs, ys, groups, s);
    if (error < best.error) best = s, best.error = error;
  };
  for (int sweep = 0; sweep < 2; ++sweep) {
    for (Index d = 0; d < x.cols(); ++d) {
      for (const double length : {0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 7.0, 12.0}) {
        GpScales s = best;
        s.length[d] = length;
        try_scales(s);
      }
    }
    for (const double nugget : {0.003, 0.01, 0.02, 0.05, 0.1, 0.3}) {
      GpScales s = best;
      s.nugget = nugget;
      try_scales(s);
    }
  }
  return best;
}

GaussianProcess::GaussianProcess(MatrixXd x, const VectorXd& y, GpScales scales)
    : scales_(std::move(scales)), scaled_(scaled_columns(x, scales_.length)) {
  MatrixXd k = kernel(scaled_);
  k.diagonal().array() += scales_.nugget;
  weights_ = k.llt().solve(y);
}

double GaussianProcess::mean(const VectorXd& z) const {
  const VectorXd q = z.array() / scales_.length.array();
  MatrixXd k = (scaled_.colwise() - q).colwise().squaredNorm().transpose();
  matern(k);
  return k.col(0).dot(weights_);
}

}  // namespace orrery
