/// POLCA: a row with more servers than its power budget was made for (Patel et al., ASPLOS'24, control law and table of
/// thresholds). Servers run jobs of one priority. Past t1 of the budget low-priority servers go to a lower clock, past
/// t2 to one lower still, and if the row is above t2 with that in force, high-priority servers slow down a little. What
/// was ordered past a threshold is lifted 5 % of the budget below it. Past the budget the power brake halts all.
///
/// Defaults: t1 80 %, t2 89 % = 100 % less the largest rise within the 40 s that a cap takes; 1,275 and 1,110 MHz for
/// low, 1,305 MHz for high priority, 288 MHz for the brake, all of the A100 (paper, as quoted in the card).
/// Modelled: telemetry, delays of caps and brake, clocks, hysteresis. Chosen here, not stated by the paper: "still
/// above" is asked once the low clock is in force, and nobody uncaps on a sample that the brake shaped.
/// Not modelled: failed or lost cap commands, servers that mix priorities.
///
///   "power": [{"domain": "row", "pools": ["high", "low"], "budget": "260kW", "policy": {"name": "polca", "t1": 0.8}}]
#pragma once

#include <vector>

#include "policies/power/thresholds.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PolcaConfig {
  double t1 = 0.8, t2 = 0.89;                       ///< of the budget
  int low_t1 = 1275, low_t2 = 1110, high_t2 = 1305; ///< MHz
  BrakeConfig brake;
};
void describe(Describer&, PolcaConfig&);

class Polca final : public PowerPolicy {
 public:
  using Config = PolcaConfig;
  explicit Polca(PolcaConfig config) : config_(config) {}
  void on_sample(const PowerSample&, PowerControl&) override;
  std::vector<int> clocks() const override {
    return {config_.low_t1, config_.low_t2, config_.high_t2, config_.brake.clock};
  }
  int brake_clock() const override { return config_.brake.clock; }

 private:
  PolcaConfig config_;
};

}  // namespace orrery
