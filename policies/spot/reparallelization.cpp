#include "policies/spot/reparallelization.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, ReparallelizationConfig& c) { describe(d, static_cast<ElasticConfig&>(c)); }

bool Reparallelization::on_nodes(std::span<const std::int32_t> nodes, NodeChange what, Cluster& c) {
  if (what == NodeChange::kAnnounced) return true;
  const auto all = c.instances();
  const bool hit = what == NodeChange::kGone && std::any_of(all.begin(), all.end(), [&](const Instance& x) {
    return stands_on_any(x.station, nodes, c);
  });
  const Choice best = choose(c, devices_up(c));
  if (hit || best != current_) restart(best, c);
  return true;
}

/// Another layout if this one does not carry the load any more.
void Reparallelization::on_rate(Cluster& c) {
  if (current_.shape < 0 || current_.rate >= rate()) return;
  if (const Choice best = choose(c, devices_up(c)); best != current_) restart(best, c);
}

StationId Reparallelization::place(const Cluster& c) const { return restarting_ ? StationId{} : Elastic::place(c); }

void Reparallelization::restart(const Choice& best, Cluster& c) {
  restarting_ = true;
  for (const Instance& x : c.instances()) c.stop(x.station, Move::kRestart);
  restarting_ = false;
  current_ = best;
  if (best.shape >= 0) c.fill(PoolId{best.shape});
}

}  // namespace orrery
