#include "policies/disaggregation/distserve.hpp"

namespace orrery {

void describe(Describer& d, DistServeConfig& c) {
  d.field("waiting_fraction", c.waiting_fraction, {0, 1},
          "Share of a decode instance's blocks that waiting calls may need before it takes another");
  d.field("paired", c.paired, "A prompt decodes at the decode instance with the number of its prefill instance");
}

StationId DistServe::decode_at(CallId id, StationId at, const Cluster& cluster, Rng rng) {
  if (config_.paired) {
    const Pool& here = cluster.pool_of(at);
    for (const Pool& p : cluster.pools()) {
      if (p.role != Role::kDecode || p.count != here.count) continue;
      const StationId partner{p.first.index + at.index - here.first.index};
      if (cluster.instance(partner).takes_calls()) return partner;
    }
  }
  return ShortestQueue::decode_at(id, at, cluster, rng);
}

bool DistServe::accepts(CallId id, StationId to, Tokens context, const Cluster& cluster) const {
  const KvState kv = cluster.kv(to);
  Blocks waiting;
  for (const CallId w : cluster.waiting(to))
    waiting += kv.blocks_for(Tokens{cluster.call(w).prompt} + cluster.emitted(w));
  const double limit = config_.waiting_fraction * static_cast<double>(kv.total.value());
  const bool few_wait = waiting == Blocks{} || static_cast<double>(waiting.value()) < limit;
  return few_wait && ClusterPolicy::accepts(id, to, context, cluster);
}

}  // namespace orrery
