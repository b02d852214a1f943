/// The plain way over pools, a baseline: a prompt goes to the instance with the fewest pending prompt tokens among
/// those that take prompts; when it is done, it decodes on the instance with the fewest tokens among those of the role
/// decode, where there are any, else where it is. KV comes when there is room.
///
///   "policy": {"cluster": "shortest-queue"}
#pragma once

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

class ShortestQueue : public ClusterPolicy {
 public:
  using Config = NoConfig;
  explicit ShortestQueue(NoConfig = {}) {}
  Placement route(CallId, Cluster&, Rng) override;
  StationId decode_at(CallId, StationId at, const Cluster&, Rng) override;
};

}  // namespace orrery
