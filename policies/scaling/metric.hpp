/// The parameter `metric` of scaling rules.
#pragma once

#include "sim/config/describe.hpp"
#include "sim/scaling.hpp"

namespace orrery {

inline void describe_metric(Describer& d, ScalingMetric& m) {
  d.field("metric", m,
          {{"queue_depth", static_cast<int>(ScalingMetric::kQueueDepth)},
           {"running", static_cast<int>(ScalingMetric::kRunning)},
           {"calls", static_cast<int>(ScalingMetric::kCalls)},
           {"kv_used", static_cast<int>(ScalingMetric::kKvUsed)},
           {"arrivals", static_cast<int>(ScalingMetric::kArrivals)}},
          "Of an instance on average: calls waiting, running, both; share of KV held; calls a second");
}

}  // namespace orrery
