/// 1-Thresh-Low-Pri, a baseline of POLCA (ASPLOS'24): one threshold, past which servers of low priority slow down; the
/// power brake behind it. Lifted 5 % of the budget below the threshold.
///
/// Defaults: POLCA's t2 and the clock that it has for low priority there, 89 % and 1,110 MHz; the paper's own values
/// for its baselines are not in the card.
///
///   "policy": {"name": "one-threshold-low", "threshold": 0.89, "clock": 1110}
#pragma once

#include <vector>

#include "policies/power/thresholds.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct OneThresholdConfig {
  double threshold = 0.89;   ///< of the budget
  int clock = 1110;          ///< MHz
  BrakeConfig brake;
};
void describe(Describer&, OneThresholdConfig&);

class OneThresholdLow : public PowerPolicy {
 public:
  using Config = OneThresholdConfig;
  explicit OneThresholdLow(OneThresholdConfig config) : config_(config) {}
  void on_sample(const PowerSample&, PowerControl&) override;
  std::vector<int> clocks() const override { return {config_.clock, config_.brake.clock}; }
  int brake_clock() const override { return config_.brake.clock; }

 private:
  virtual bool high_too() const { return false; }
  OneThresholdConfig config_;
};

}  // namespace orrery
