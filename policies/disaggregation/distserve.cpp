#include "policies/disaggregation/distserve.hpp"

namespace orrery {

void describe(Describer& d, DistServeConfig& c) {
  d.field("waiting_fraction", c.waiting_fraction, {0, 1},
          "Share of a decode instance's blocks that waiting calls may need before it takes another");
}

bool DistServe::accepts(CallId id, StationId to, Tokens context, const Cluster& cluster) const {
  const KvState kv = cluster.kv(to);
  Blocks waiting;
  for (const CallId w : cluster.waiting(to)) waiting += kv.blocks_for(Tokens{cluster.call(w).prompt} + cluster.emitted(w));
  const auto limit = static_cast<std::int64_t>(config_.waiting_fraction * static_cast<double>(kv.total.value()));
  return waiting <= Blocks{limit} && ClusterPolicy::accepts(id, to, context, cluster);
}

}  // namespace orrery
