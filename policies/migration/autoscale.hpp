/// Scaling by average freeness (Llumnix, OSDI'24, section 4.4.3; scaling_scheduler.py of AlibabaPAI/llumnix): every
/// `scale_interval`, below `scale_up_below` instances are added until the average is above it, above `scale_down_above`
/// the one with the fewest running calls is drained. The average is the memory that all leave over all their calls,
/// without headroom for high priority: it says how free the cluster is for normal calls.
///
/// Defaults 10 s, 10, 60 (authors' code). `startup` 15 s is ours (13.5 GB of weights at about 1 GB/s). An instance that
/// starts counts as an empty one, so that it is not asked for twice; one is drained only if the rest stays above the
/// lower threshold; a draining one serves again before another is started.
#pragma once

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct AutoscaleConfig {
  bool autoscale = false;
  Duration scale_interval = 10s;
  double scale_up_below = 10, scale_down_above = 60;
  int min_instances = 1;
  Duration startup = 15s;
};
void describe(Describer&, AutoscaleConfig&);

class Autoscaler {
 public:
  explicit Autoscaler(AutoscaleConfig config) : config_(config), next_(Time{} + config.scale_interval) {}
  /// Looks at the cluster if it is time to.
  void consider(Cluster&);

 private:
  void grow(Cluster&) const;
  void shrink(Cluster&) const;
  AutoscaleConfig config_;
  Time next_;
};

}  // namespace orrery
