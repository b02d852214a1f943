#include "policies/power/by_priority.hpp"

#include <cstdlib>
#include <tuple>

namespace orrery {

Placement ByPriority::route(CallId id, Cluster& cluster, Rng) {
  const std::int32_t wanted = cluster.call(id).priority;
  StationId best;
  std::tuple<std::int32_t, std::int32_t, Tokens> lowest;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls()) continue;
    const std::int32_t priority = cluster.pool_of(x.station).priority;
    const std::tuple key{std::abs(priority - wanted), priority, x.load->tokens};
    if (best.valid() && key >= lowest) continue;
    best = x.station;
    lowest = key;
  }
  return best.valid() ? Placement::at(best) : Placement::hold();
}

}  // namespace orrery
