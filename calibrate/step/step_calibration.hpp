/// Calibration of whole steps in the process that will be compared: random batches, measured in rounds between which
/// the caller may do other things (replay a workload), then fitted. Each round runs every batch once in a new random
/// order, so that a batch meets the caches as a replay leaves them and drift hits all batches alike; a batch's time is
/// its median.
///
///   LiveStepEngine engine(*device, {.max_sequences = 24, .max_context = 512});       // calibrate/live/
///   StepCalibrator c(engine, {.max_sequences = 24, .token_budget = 128, .max_context = 512});
///   for (int i = 0; i < 4; ++i) c.round();   replay();   for (int i = 0; i < 3; ++i) c.round();
///   StepCalibration s = c.result();          // s.law, s.held_out, s.noise, s.drift
///   StepCostModel predicted(s.law);
///
/// kernels.md section 4 found 240 batches and medians of 3 enough; 7 rounds of 240 take 4 to 8 s for the small model.
#pragma once

#include <cstdint>
#include <vector>

#include "calibrate/step/step_fit.hpp"

namespace orrery {

struct StepCalibrationOptions {
  std::int64_t max_sequences = 24;   ///< of a batch, chunks included
  std::int64_t token_budget = 128;   ///< new tokens of a batch
  std::int64_t max_context = 512;    ///< of a sequence, its new tokens included
  int batches = 240;
  std::uint64_t seed = 1;
};

/// Random batches as continuous batching makes them: half of them decodes alone, the others with one to three chunks;
/// numbers and contexts even in their logarithm or value by turns. A pure function of the options.
std::vector<StepBatch> random_batches(const StepCalibrationOptions& options);

struct StepCalibration {
  StepLaw law;
  StepError held_out;                ///< five folds
  double noise = 0;                  ///< percent: median over batches of half the interquartile range
  double drift = 0;  ///< percent: largest change of the median batch between two rounds, the first left out
  std::vector<StepSample> samples;
};

class StepCalibrator {
 public:
  StepCalibrator(StepEngine& engine, const StepCalibrationOptions& options);
  /// Every batch once; the first round also warms up and is kept like the others.
  void round();
  int rounds() const { return rounds_; }
  /// Of the rounds so far; at least one.
  StepCalibration result() const;

 private:
  StepEngine* engine_;
  std::uint64_t seed_;
  int rounds_ = 0;
  std::vector<StepSample> samples_;
};

/// Percent by which the clock's speed changed over the rounds: for each round, the median over batches of its time over
/// the batch's median; then the largest less the smallest. With fewer than two rounds 0.
double drift_percent(const std::vector<StepSample>& samples);

}  // namespace orrery
