/// What power policies do alike: a brake, and caps with a threshold and hysteresis.
#pragma once

#include <string_view>

#include "sim/config/describe.hpp"
#include "sim/power.hpp"

namespace orrery {

/// The power brake of POLCA (section on power-capping latencies): past the budget all servers come to a near halt.
struct BrakeConfig {
  double hysteresis = 0.05;   ///< of the budget, below each threshold
  int clock = 288;            ///< MHz, A100
};

/// Brakes past the budget, lets go `hysteresis` below it. True while the sample says nothing about the load, so that
/// nobody uncaps on it.
inline bool apply_brake(const BrakeConfig& c, const PowerSample& s, PowerControl& row) {
  if (s.share() > 1) row.brake(true);
  else if (row.braking() && s.share() < 1 - c.hysteresis) row.brake(false);
  return row.braking() || s.braked;
}

inline void describe_brake(Describer& d, BrakeConfig& c) {
  d.field("hysteresis", c.hysteresis, {0, 0.5},
          "What was ordered past a threshold is lifted this share of the budget below it");
  d.field("brake_clock", c.clock, {1, 10000}, "All servers past the budget", "MHz");
}

}  // namespace orrery
