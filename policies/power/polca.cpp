#include "policies/power/polca.hpp"

namespace orrery {

void describe(Describer& d, PolcaConfig& c) {
  d.field("t1", c.t1, {0, 1}, "Share of the budget past which low-priority servers slow down");
  d.field("t2", c.t2, {0, 1}, "Share past which they slow down more, then high-priority servers");
  d.field("low_t1", c.low_t1, {1, 10000}, "Clock of low-priority servers past t1", "MHz");
  d.field("low_t2", c.low_t2, {1, 10000}, "Clock of low-priority servers past t2", "MHz");
  d.field("high_t2", c.high_t2, {1, 10000}, "Clock of high-priority servers past t2", "MHz");
  describe_brake(d, c.brake);
}

void Polca::on_sample(const PowerSample& sample, PowerControl& row) {
  constexpr auto kLow = ServerPriority::kLow, kHigh = ServerPriority::kHigh;
  const double p = sample.share(), down = config_.brake.hysteresis;
  if (p > config_.t2) {
    row.set_clock(kLow, config_.low_t2);
    if (row.in_force(kLow) == config_.low_t2) row.set_clock(kHigh, config_.high_t2);
  } else if (p > config_.t1 && row.ordered(kLow) == 0) {
    row.set_clock(kLow, config_.low_t1);
  }
  if (apply_brake(config_.brake, sample, row)) return;
  if (p < config_.t2 - down) row.set_clock(kHigh, 0);
  if (p < config_.t1 - down) row.set_clock(kLow, 0);
  else if (p < config_.t2 - down && row.ordered(kLow) == config_.low_t2) row.set_clock(kLow, config_.low_t1);
}

}  // namespace orrery
