/// Target tracking: as many instances as bring a metric to its target, as Kubernetes' HorizontalPodAutoscaler does it
/// (Kubernetes documentation, "Horizontal Pod Autoscaling", algorithm details): desired = ceil(current x value /
/// target), nothing within a tolerance, and on the way down the largest number desired within a stabilisation window,
/// so that a short lull does not drain what the next burst needs.
///
/// Instances that start count as instances without load, as pods that are not ready do there.
/// Defaults: tolerance 10 %, stabilisation 300 s (Kubernetes' defaults); target 4 waiting calls an instance (ours).
///
///   "scaling": [{"pool": "chat", "rule": "target", "metric": "queue_depth", "target": 4, "min": 2, "max": 16}]
#pragma once

#include <deque>

#include "sim/config/describe.hpp"
#include "sim/scaling.hpp"

namespace orrery {

struct TargetScalingConfig {
  ScalingMetric metric = ScalingMetric::kQueueDepth;
  double target = 4;
  double tolerance = 0.1;
  Duration stabilisation = 300s;
};
void describe(Describer&, TargetScalingConfig&);

class TargetScaling final : public ScalingRule {
 public:
  using Config = TargetScalingConfig;
  explicit TargetScaling(TargetScalingConfig config) : config_(config) {}
  std::int32_t desired(const PoolState&, Time now) override;

 private:
  struct Wish { Time at; std::int32_t instances; };
  TargetScalingConfig config_;
  std::deque<Wish> wishes_;          ///< of the window; each larger than those after it
};

}  // namespace orrery
