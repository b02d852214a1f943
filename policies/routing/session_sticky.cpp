#include "policies/routing/session_sticky.hpp"

#include "policies/routing/least.hpp"

namespace orrery {

void describe(Describer& d, SessionStickyConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
}

StationId SessionSticky::route(const Call& call, CallId, const ClusterView& view, Rng) {
  if (call.session == 0) return least(view.stations, view.routed, [](const StationLoad& s) { return s.calls; });
  return StationId{static_cast<std::int32_t>(mix64(call.session) % view.stations.size())};
}

}  // namespace orrery
