/// A timetable: from each of `times` on, so many instances, again every `period`. Before the first time of a period the
/// last one of it counts, as on a clock.
///
///   "scaling": [{"pool": "chat", "rule": "schedule", "times": [28800, 72000], "instances": [16, 4]}]
#pragma once

#include <vector>

#include "sim/config/describe.hpp"
#include "sim/scaling.hpp"

namespace orrery {

struct ScheduleScalingConfig {
  std::vector<double> times{0};        ///< seconds within a period, ascending
  std::vector<double> instances{1};    ///< from then on, as many entries
  Duration period = 24h;
};
void describe(Describer&, ScheduleScalingConfig&);

class ScheduleScaling final : public ScalingRule {
 public:
  using Config = ScheduleScalingConfig;
  explicit ScheduleScaling(ScheduleScalingConfig config) : config_(std::move(config)) {}
  std::int32_t desired(const PoolState&, Time now) override;

 private:
  ScheduleScalingConfig config_;
};

}  // namespace orrery
