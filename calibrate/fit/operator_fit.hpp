/// Fits one operator: t(x) = f(x; theta) * exp(g(log2 features)), f the roof of hwmodels/laws.hpp, g a zero-mean
/// Gaussian process clipped to a factor of two and stored on a grid of our own. Errors are held out by shape: every row
/// of a shape (a GEMM's (n, k), an attention's head configuration) is predicted by a fit that saw none of its rows,
/// through the grid that is shipped. About 5 s of one core for 6,000 rows, five folds included.
///
///   OperatorModel fit = fit_operator(Op::kGemm, samples, {.sm_count = 132, .grid = default_grid(Op::kGemm)});
///   HeldOut e = held_out(Op::kGemm, samples, options);       // e.mape, e.p95, in percent
#pragma once

#include <cstdint>
#include <vector>

#include "calibrate/fit/table.hpp"
#include "hwmodels/operator.hpp"
#include "hwmodels/residual_grid.hpp"

namespace orrery {

struct FitOptions {
  double sm_count = 132;
  std::vector<ResidualGrid::Axis> grid;
  std::size_t anchors = 1500;   ///< at most, for the Gaussian process
  std::uint64_t seed = 1;       ///< which rows become anchors, which shapes share a fold
};

/// Half or whole octaves over what the tables cover.
std::vector<ResidualGrid::Axis> default_grid(Op op);

OperatorModel fit_operator(Op op, const std::vector<Sample>& rows, const FitOptions& options);

/// In percent of the measured time; `sigma` is the standard deviation over shapes of a shape's mean log error.
struct HeldOut {
  double mape = 0, median = 0, p95 = 0, bias = 0, sigma = 0;
  double roof_mape = 0;     ///< of the roof alone
  double clipped = 0;       ///< percent of rows at which the residual's clip binds
  std::size_t rows = 0;
};

/// What a fold leaves out: whole shapes, or single rows of shapes that the fit also sees.
enum class Fold { kShapes, kRows };

HeldOut held_out(Op op, const std::vector<Sample>& rows, const FitOptions& options, Fold fold = Fold::kShapes,
                 int folds = 5);
/// The same statistics of given predictions.
HeldOut error_of(Op op, const std::vector<Sample>& rows, const std::vector<double>& predicted);

/// Rows with equal keys are one shape.
std::uint64_t shape_key(Op op, const Shape& x);

}  // namespace orrery
