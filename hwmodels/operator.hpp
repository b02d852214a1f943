/// The time of one operator on one device: roof (laws.hpp) times residual (residual_grid.hpp), with the range in which
/// it was fitted and its held-out error.
///
///   OperatorModel gemm = hardware.gemm;
///   double t = gemm.seconds({64, 4096, 4096});      // seconds
///   bool known = gemm.in_range({64, 4096, 4096});
///
/// A GEMM larger than the fitted range is priced as several inside it that share one launch. Attention over more KV
/// heads than the fitted range holds is the same work in a larger batch (heads are independent), so the units
/// batch*kv_heads decide. A chunk or context shorter than the range is one tile; a chunk behind a context takes the
/// residual of the whole prompt with as many query-key pairs: the tables have no such rows, so this is an assumption
/// and never in range.
#pragma once

#include <array>
#include <vector>

#include "hwmodels/laws.hpp"
#include "hwmodels/residual_grid.hpp"

namespace orrery {

struct OperatorModel {
  Op op = Op::kGemm;
  std::vector<double> theta;
  ResidualGrid residual;
  std::array<double, 5> low{}, high{};  ///< log2 range of each feature
  double sm_count = 132;
  /// Held out, in percent: mean absolute error, 95th percentile, and the standard deviation over shapes of a shape's
  /// mean error (what a draw of the model error uses).
  double mape = 0, p95 = 0, sigma = 0;

  double seconds(const Shape& x) const;
  bool in_range(const Shape& x) const;
};

}  // namespace orrery
