/// Servers that run jobs of one priority, as POLCA assumes of its row (ASPLOS'24): a call goes to the instance with the
/// fewest tokens among the pools of its own priority; if there is none that serves, among those of the nearest
/// priority, the more urgent of two as near. Prompts decode where they are.
///
///   "cluster": {"pools": [{"name": "high", "priority": 0, ...}, {"name": "low", "priority": 1, ...}]},
///   "policy": {"cluster": "by-priority"}
#pragma once

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

class ByPriority final : public ClusterPolicy {
 public:
  using Config = NoConfig;
  explicit ByPriority(NoConfig = {}) {}
  Placement route(CallId, Cluster&, Rng) override;
};

}  // namespace orrery
