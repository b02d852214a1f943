/// The two host terms of an engine, step + per_sequence * sequences, from measured decode steps of served models whose
/// kernels are already priced: what is missing to the measurement, in log residuals with a soft-L1 loss. Errors are
/// left out by group (a model): each group's steps are predicted by the terms that the others give.
///
///   std::vector<HostPoint> points = served_points(read_csv("ml_energy_gpqa.csv"), "H100", load_hardware("h100", {}));
///   HostFit f = fit_host(points);        // f.step_s, f.per_sequence_s, f.left_out_mape
#pragma once

#include <string>
#include <vector>

#include "calibrate/fit/table.hpp"
#include "hwmodels/hardware.hpp"

namespace orrery {

struct HostPoint {
  std::string group;
  double device_s, sequences, measured_s;   ///< priced kernels, sequences in the step, measured step
};

struct HostFit {
  double step_s = 0, per_sequence_s = 0;
  double mape = 0, worst = 0;                     ///< percent, over the points themselves
  double left_out_mape = 0, left_out_worst = 0;   ///< percent, by group; 0 with a single group
  double bare_mape = 0;                           ///< percent, of the kernels alone
};

HostFit fit_host(const std::vector<HostPoint>& points);

/// Decode steps of the catalogue's dense 16-bit models in a table of ml-energy/leaderboard (median inter-token latency,
/// average batch). A call's mean context is taken as 250 prompt tokens + 0.55 of the mean output.
std::vector<HostPoint> served_points(const CsvTable& table, const std::string& gpu, const Hardware& hardware);

}  // namespace orrery
