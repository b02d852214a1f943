#include "policies/routing/least_loaded.hpp"

#include "policies/routing/least.hpp"

namespace orrery {

void describe(Describer& d, LeastLoadedConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
}

StationId LeastLoaded::route(const Call&, CallId, const ClusterView& view, Rng) {
  return least(view.stations, view.routed, [](const StationLoad& s) { return s.calls; });
}

}  // namespace orrery
