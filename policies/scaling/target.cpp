#include "policies/scaling/target.hpp"

#include <algorithm>
#include <cmath>

#include "policies/scaling/metric.hpp"

namespace orrery {

void describe(Describer& d, TargetScalingConfig& c) {
  describe_metric(d, c.metric);
  d.field("target", c.target, {1e-9, 1e9}, "Value of the metric that an instance should have");
  d.field("tolerance", c.tolerance, {0, 10}, "Relative distance from the target within which nothing happens");
  d.field("stabilisation", c.stabilisation, {0, 86400}, "Scales down to the largest number desired in this time");
}

std::int32_t TargetScaling::desired(const PoolState& pool, Time now) {
  const std::int32_t current = pool.wanted();
  const double ratio = value(pool, config_.metric) / config_.target;
  const bool close = std::abs(ratio - 1) <= config_.tolerance;
  const auto wish = close ? current : static_cast<std::int32_t>(std::ceil(std::min(ratio * std::max(current, 1), 1e6)));
  if (wishes_.empty()) wishes_.push_back({now, current});   // what there was counts as wished for, as in Kubernetes
  while (!wishes_.empty() && wishes_.back().instances <= wish) wishes_.pop_back();
  wishes_.push_back({now, wish});
  while (wishes_.front().at + config_.stabilisation < now) wishes_.pop_front();
  return wish >= current ? wish : std::min(current, wishes_.front().instances);
}

}  // namespace orrery
