#include "calibrate/fit/residual_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "calibrate/fit/gaussian_process.hpp"

namespace orrery {

using Eigen::Index, Eigen::MatrixXd, Eigen::VectorXd;

ResidualGrid fit_residual(const MatrixXd& x, const VectorXd& log_ratio, const std::vector<ResidualGrid::Axis>& axes,
                          std::span<const std::uint64_t> shapes) {
  const VectorXd y = log_ratio.cwiseMax(-2 * kResidualClip).cwiseMin(2 * kResidualClip);
  const GaussianProcess gp(x, y, choose_scales(x, y, shapes));
  std::size_t count = 1;
  for (const auto& axis : axes) count *= static_cast<std::size_t>(axis.count);
  const ResidualGrid positions(axes, std::vector<std::int16_t>(count, 0));
  std::vector<std::int16_t> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Features z = positions.knot(i);
    const double g = gp.mean(Eigen::Map<const VectorXd>(z.data(), x.cols()));
    values[i] = static_cast<std::int16_t>(std::lround(std::clamp(g, -kResidualClip, kResidualClip) * 1000));
  }
  return {axes, std::move(values)};
}

std::vector<ResidualGrid::Axis> covering_axes(const MatrixXd& x, const std::vector<double>& step) {
  std::vector<ResidualGrid::Axis> axes;
  for (Index d = 0; d < x.cols(); ++d) {
    const double low = x.col(d).minCoeff(), high = x.col(d).maxCoeff(), width = step[static_cast<std::size_t>(d)];
    axes.push_back({low, width, 1 + static_cast<int>(std::ceil((high - low) / width - 1e-9))});
  }
  return axes;
}

double quantile(std::vector<double> v, double q) {
  if (v.empty()) return 0;
  const auto at = static_cast<std::size_t>(q * static_cast<double>(v.size() - 1) + 0.5);
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(at), v.end());
  return v[at];
}

}  // namespace orrery
