#include "policies/migration/infaas.hpp"

namespace orrery {

/// Load: blocks held and asked for, of all blocks; compared crosswise.
Placement Infaas::route(CallId, Cluster& cluster, Rng) {
  StationId best;
  Wide least = 0, of = 1;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls()) continue;
    const KvState kv = cluster.kv(x.station);
    Blocks wanted = kv.total - kv.available();
    for (const CallId id : cluster.waiting(x.station))
      wanted += kv.blocks_for(Tokens{cluster.call(id).prompt} + cluster.emitted(id));
    if (best.valid() && static_cast<Wide>(wanted.value()) * of >= least * kv.total.value()) continue;
    best = x.station;
    least = wanted.value();
    of = kv.total.value();
  }
  return best.valid() ? Placement::at(best) : Placement::hold();
}

}  // namespace orrery
