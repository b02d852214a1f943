#include "policies/power/one_threshold_low.hpp"

namespace orrery {

void describe(Describer& d, OneThresholdConfig& c) {
  d.field("threshold", c.threshold, {0, 1}, "Share of the budget past which servers slow down");
  d.field("clock", c.clock, {1, 10000}, "Their clock then", "MHz");
  describe_brake(d, c.brake);
}

void OneThresholdLow::on_sample(const PowerSample& sample, PowerControl& row) {
  const auto all = [&](int clock) {
    row.set_clock(ServerPriority::kLow, clock);
    if (high_too()) row.set_clock(ServerPriority::kHigh, clock);
  };
  if (sample.share() > config_.threshold) all(config_.clock);
  if (apply_brake(config_.brake, sample, row)) return;
  if (sample.share() < config_.threshold - config_.brake.hysteresis) all(0);
}

}  // namespace orrery
