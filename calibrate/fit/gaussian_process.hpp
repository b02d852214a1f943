/// A zero-mean Gaussian process with the Matern-3/2 kernel and one length scale a feature (ARD), for the log residual
/// of a roof. Zero mean: far from its anchors it says nothing (0), so the roof stands alone there. The Cholesky
/// factorisation is O(n^3) (1,500 anchors: 1.1 GFLOP), a prediction O(n).
///
///   GaussianProcess gp(x, y, choose_scales(x, y, shapes));      // x: one anchor a row
///   double g = gp.mean(z);
///
/// Rasmussen and Williams, Gaussian Processes for Machine Learning (2006): eq. 2.25, 4.17 (Matern), 5.12 (leave one
/// out).
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>

namespace orrery {

struct GpScales {
  Eigen::VectorXd length;  ///< in the unit of each feature (octaves)
  double nugget = 0.02;    ///< noise variance over signal variance
  double error = 0;        ///< mean absolute leave-one-group-out error on the subset that chose them
};

/// Walks a small grid of length scales and nuggets, one coordinate at a time, by the closed-form error of leaving out
/// one group at a time (anchors with equal `group`, one entry an anchor; none: single anchors) on at most `subset`
/// anchors: what is to be predicted are shapes that were never seen.
GpScales choose_scales(const Eigen::MatrixXd& x, const Eigen::VectorXd& y, std::span<const std::uint64_t> group,
                       Eigen::Index subset = 500);

class GaussianProcess {
 public:
  GaussianProcess(Eigen::MatrixXd x, const Eigen::VectorXd& y, GpScales scales);
  double mean(const Eigen::VectorXd& z) const;
  const GpScales& scales() const { return scales_; }

 private:
  GpScales scales_;
  Eigen::MatrixXd scaled_;   ///< anchors over length scales, one a column
  Eigen::VectorXd weights_;  ///< (K + nugget I)^-1 y
};

}  // namespace orrery
