#include "policies/routing/power_of_two.hpp"

namespace orrery {

void describe(Describer& d, PowerOfTwoConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
}

StationId PowerOfTwo::route(const Call&, CallId, const ClusterView& view, Rng rng) {
  const std::uint64_t n = view.stations.size();
  const std::uint64_t a = rng.below(n), b = n > 1 ? (a + 1 + rng.below(n - 1)) % n : a;
  return StationId{static_cast<std::int32_t>(view.stations[b].calls < view.stations[a].calls ? b : a)};
}

}  // namespace orrery
