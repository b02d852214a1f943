/// Fits the law of whole steps (hwmodels/step_model.hpp) to measured ones: its terms by least squares on relative
/// errors with no coefficient below zero, then a Gaussian-process residual. A residual is what the terms cannot say:
/// GEMM tiles, caches, the shape of a batch behind its sums.
///
///   StepLaw law = fit_step_law(samples, engine.row_tile());
///   StepError e = held_out_steps(samples, engine.row_tile());        // five folds; e.mape, e.p95 in percent
///
/// O(samples^3) for the residual; 240 samples take ~0.1 s.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "calibrate/step/step_engine.hpp"
#include "hwmodels/step_model.hpp"

namespace orrery {

struct StepSample {
  StepBatch batch;
  std::vector<double> seconds;       ///< repeats, in the order they were taken
  double median() const;
  double noise() const;              ///< half the interquartile range over the median
};

StepLaw fit_step_law(std::span<const StepSample> samples, std::int64_t row_tile);

/// In percent of the measured time.
struct StepError {
  double mape = 0, p95 = 0, bias = 0;
  double terms_mape = 0;             ///< of the terms without the residual
};
StepError error_of(const StepLaw& law, std::span<const StepSample> samples);
/// Every sample predicted by a fit that did not see it.
StepError held_out_steps(std::span<const StepSample> samples, std::int64_t row_tile, int folds = 5);

}  // namespace orrery
