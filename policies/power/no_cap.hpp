/// The brake alone, a baseline of POLCA (ASPLOS'24): nothing is capped before the row is past its budget.
///
///   "policy": "no-cap"
#pragma once

#include <vector>

#include "policies/power/thresholds.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct NoCapConfig {
  BrakeConfig brake;
};
inline void describe(Describer& d, NoCapConfig& c) { describe_brake(d, c.brake); }

class NoCap final : public PowerPolicy {
 public:
  using Config = NoCapConfig;
  explicit NoCap(NoCapConfig config) : config_(config) {}
  void on_sample(const PowerSample& sample, PowerControl& row) override { apply_brake(config_.brake, sample, row); }
  std::vector<int> clocks() const override { return {config_.brake.clock}; }
  int brake_clock() const override { return config_.brake.clock; }

 private:
  NoCapConfig config_;
};

}  // namespace orrery
