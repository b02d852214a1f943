#include "policies/routing/random.hpp"

namespace orrery {

StationId RandomRouter::route(const Call&, CallId, const ClusterView& view, Rng rng) {
  return StationId{static_cast<std::int32_t>(rng.below(view.stations.size()))};
}

}  // namespace orrery
