#include "hwmodels/operator.hpp"

#include <cmath>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

constexpr double kSlack = 1e-6;  // octaves; a shape at the edge is inside

double within(const OperatorModel& model, const Shape& x) {
  return law_seconds(model.op, model.theta, model.sm_count, x) * fast_exp(model.residual.at(features(model.op, x)));
}

}  // namespace

double OperatorModel::seconds(const Shape& x) const {
  if (op != Op::kGemm && op != Op::kGemmRows) return within(*this, x);
  Shape part = x;
  double pieces = 1;
  for (std::size_t d = 0; d < 3; ++d) {
    const double limit = fast_exp2(high[d]) * (1 + kSlack);
    if (high[d] <= 0 || x[d] <= limit) continue;
    const double n = std::ceil(x[d] / limit);
    part[d] = x[d] / n;
    pieces *= n;
  }
  return pieces * within(*this, part) - (pieces - 1) * theta[0];
}

bool OperatorModel::in_range(const Shape& x) const {
  if (op == Op::kPrefill && x[2] > 0) return false;  // no table has a chunk behind a context
  const Features z = features(op, x);
  for (std::size_t d = 0; d < feature_names(op).size(); ++d) {
    const bool split_above = op == Op::kGemm || op == Op::kGemmRows || (op == Op::kDecode && d == 4);
    const bool tile_below = (op == Op::kPrefill || op == Op::kDecode) && d == 1;
    if (z[d] > high[d] + kSlack && !split_above) return false;
    if (z[d] < low[d] - kSlack && !tile_below) return false;
  }
  return true;
}

}  // namespace orrery
