#include "policies/routing/round_robin.hpp"

namespace orrery {

void describe(Describer& d, RoundRobinConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
}

StationId RoundRobin::route(const Call&, CallId, const ClusterView& view, Rng) {
  return StationId{static_cast<std::int32_t>(view.routed % view.stations.size())};
}

}  // namespace orrery
