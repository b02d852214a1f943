/// orrery_fit_host ENGINE.json POINTS.csv GPU HARDWARE SOURCE: fits the two host terms of an engine preset to the
/// decode steps of a served-model table (columns of ml-energy/leaderboard) and writes them, with their left-out error,
/// into ENGINE.json.
///
///   orrery_fit_host hwmodels/engines/vllm-0.24.json ml_energy_gpqa.csv H100 h100-sxm "ml-energy/leaderboard@0cd52dab897c"
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "calibrate/fit/host_fit.hpp"
#include "sim/config/value.hpp"

namespace orrery {
namespace {

std::string with_digits(const char* format, double x) {
  char text[32];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

void run(const std::string& file, const std::string& table, const std::string& gpu, const std::string& hardware,
         const std::string& source) {
  Value v = parse_json_file(file);
  const auto points = served_points(read_csv(table), gpu, load_hardware(hardware, {}));
  if (points.empty()) throw ConfigError(table + ": no dense bfloat16 rows for " + gpu);
  const HostFit f = fit_host(points);
  for (const HostPoint& p : points) {
    std::printf("%-12s %5.1f sequences: kernels %.2f ms, with host %.2f ms, measured %.2f ms\n", p.group.c_str(), p.sequences,
                1e3 * p.device_s, 1e3 * (p.device_s + f.step_s + f.per_sequence_s * p.sequences), 1e3 * p.measured_s);
  }
  std::printf("step %.0f us, sequence %.1f us | %zu points: MAPE %.1f %%, worst %.1f %% | models left out: MAPE %.1f %%, "
              "worst %.1f %% | kernels alone %.1f %%\n", 1e6 * f.step_s, 1e6 * f.per_sequence_s, points.size(), f.mape, f.worst, f.left_out_mape,
              f.left_out_worst, f.bare_mape);
  v["host"]["step_us"] = std::stod(with_digits("%.3g", 1e6 * f.step_s));
  v["host"]["per_sequence_us"] = std::stod(with_digits("%.3g", 1e6 * f.per_sequence_s));
  v["host"]["source"] = "fitted to " + std::to_string(points.size()) + " " + gpu + " decode steps of " + source +
                        " (engine version not stated there): mean error " + with_digits("%.1f", f.mape) +
                        " %, with models left out " +
                        with_digits("%.1f", f.left_out_mape) + " %, worst " + with_digits("%.1f", f.left_out_worst) +
                        " %; small-kernel floor 1.5 us: assumed";
  std::ofstream(file) << to_json(v, 1) << "\n";
}

}  // namespace
}  // namespace orrery

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: orrery_fit_host ENGINE.json POINTS.csv GPU HARDWARE SOURCE\n");
    return 1;
  }
  try {
    orrery::run(argv[1], argv[2], argv[3], argv[4], argv[5]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
