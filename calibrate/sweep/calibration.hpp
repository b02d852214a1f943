/// From the samples of a sweep to a `measured` hardware model and a report of its errors. A pure function of the
/// journal and the plan: fits are repeated without measuring.
///
///   Calibration c = fit_sweep(plan, journal, model, {.name = "HW", .date = "2026-11-24"});
///   write(c.hardware);  std::cout << c.text();
///
/// Operators: roof and residual as for published tables (calibrate/fit/). Small kernels: a launch and a bandwidth.
/// Whole steps: host terms and one correction on the sum of the operators, and a law of the steps themselves; both
/// fitted to random batches and tested on others and on lines that no fit has seen.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "calibrate/step/step_fit.hpp"
#include "calibrate/sweep/protocol.hpp"
#include "hwmodels/model.hpp"

namespace orrery {

struct FitReport {
  struct Row {
    std::string what;
    std::size_t points = 0;
    double mape = 0, p95 = 0, noise = 0;      ///< percent; noise: median half interquartile range of the repeats
    double floor = 0;                         ///< percent: mean error of a law that is exact, from what medians scatter
    std::vector<std::string> worst;           ///< largest errors, with their shapes
  };
  std::vector<Row> rows;                      ///< held-out errors
  std::map<std::string, int> rejected;        ///< reason -> points faster than the device can be
  double drift = 0;                           ///< percent, of the sentinels
  double terms_mape = 0;                      ///< of the steps' law without its residual
  double drift_limit = 10;                    ///< percent, of the backend
  bool noisy() const { return drift > drift_limit; }
};

struct Calibration {
  Value hardware;                             ///< as hwmodels/gpus/NAME.json
  FitReport report;
};

struct CalibrationLabels {
  std::string name, date;
};

/// What is known of the device, for the journal's header.
Value sweep_header(const SweepPlan& plan, const ModelShape& model, const SweepOptions& options,
                   SweepBackend& backend, const SpeedOfLight& probe);

Calibration fit_sweep(const SweepPlan& plan, const Journal& journal, const ModelShape& model,
                      const CalibrationLabels& labels);

std::string text(const FitReport& report);
Value to_value(const FitReport& report);

}  // namespace orrery
