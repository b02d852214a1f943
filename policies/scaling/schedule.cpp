#include "policies/scaling/schedule.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, ScheduleScalingConfig& c) {
  d.field("times", c.times, {0, 31536000}, "Seconds within a period, ascending");
  d.field("instances", c.instances, {0, 65536}, "Instances from that time on");
  d.field("period", c.period, {1, 31536000}, "The timetable starts again after this time");
  if (c.times.size() != c.instances.size() || c.times.empty()) d.error("instances", "needs as many entries as `times`");
  else if (!std::is_sorted(c.times.begin(), c.times.end())) d.error("times", "must ascend");
}

std::int32_t ScheduleScaling::desired(const PoolState&, Time now) {
  const double t = to_seconds(Duration{to_ps(now) % to_ps(config_.period)});
  const auto after = std::upper_bound(config_.times.begin(), config_.times.end(), t);
  const auto i =
      after == config_.times.begin() ? config_.times.size() : static_cast<std::size_t>(after - config_.times.begin());
  return static_cast<std::int32_t>(config_.instances[i - 1]);
}

}  // namespace orrery
