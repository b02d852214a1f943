#include "policies/scaling/threshold.hpp"

#include "policies/scaling/metric.hpp"

namespace orrery {

void describe(Describer& d, ThresholdScalingConfig& c) {
  describe_metric(d, c.metric);
  d.field("above", c.above, {0, 1e9}, "More instances above this value of the metric");
  d.field("below", c.below, {0, 1e9}, "Fewer instances below this value");
  d.field("step", c.step, {1, 65536}, "Instances at a time");
  d.field("cooldown", c.cooldown, {0, 86400}, "Nothing happens for so long after a change");
  if (c.below > c.above) d.error("below", "must not be above `above`");
}

std::int32_t ThresholdScaling::desired(const PoolState& pool, Time now) {
  if (now < rests_until_) return pool.wanted();
  const double v = value(pool, config_.metric);
  const int change = v > config_.above ? config_.step : v < config_.below ? -config_.step : 0;
  if (change != 0) rests_until_ = now + config_.cooldown;
  return pool.wanted() + change;
}

}  // namespace orrery
