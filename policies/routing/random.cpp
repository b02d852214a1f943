#include "policies/routing/random.hpp"

namespace orrery {

void describe(Describer& d, RandomRouterConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
}

StationId RandomRouter::route(const Call&, CallId, const ClusterView& view, Rng rng) {
  return StationId{static_cast<std::int32_t>(rng.below(view.stations.size()))};
}

}  // namespace orrery
