/// Thresholds, the plainest autoscaler: above `above` so many instances more, below `below` so many fewer, and then
/// nothing for a while. With metrics that come late it overshoots; target tracking is compared with it.
///
/// Defaults are ours: above 8 and below 1 waiting calls an instance, one instance a time, 60 s of rest.
///
///   "scaling": [{"pool": "chat", "rule": "threshold", "metric": "kv_used", "above": 0.8, "below": 0.3, "lag": "60s"}]
#pragma once

#include "sim/config/describe.hpp"
#include "sim/scaling.hpp"

namespace orrery {

struct ThresholdScalingConfig {
  ScalingMetric metric = ScalingMetric::kQueueDepth;
  double above = 8, below = 1;
  int step = 1;
  Duration cooldown = 60s;
};
void describe(Describer&, ThresholdScalingConfig&);

class ThresholdScaling final : public ScalingRule {
 public:
  using Config = ThresholdScalingConfig;
  explicit ThresholdScaling(ThresholdScalingConfig config) : config_(config) {}
  std::int32_t desired(const PoolState&, Time now) override;

 private:
  ThresholdScalingConfig config_;
  Time rests_until_{};
};

}  // namespace orrery
