#include "policies/routing/round_robin.hpp"

namespace orrery {

StationId RoundRobin::route(const Call&, CallId, const ClusterView& view, Rng) {
  return StationId{static_cast<std::int32_t>(view.routed % view.stations.size())};
}

}  // namespace orrery
