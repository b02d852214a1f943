#include "policies/spot/rerouting.hpp"

namespace orrery {

void describe(Describer& d, ReroutingConfig& c) { describe(d, static_cast<ElasticConfig&>(c)); }

bool Rerouting::on_nodes(std::span<const std::int32_t> nodes, NodeChange what, Cluster& c) {
  if (what != NodeChange::kAdded) {
    for (const Instance& x : c.instances()) {
      if (!stands_on_any(x.station, nodes, c)) continue;
      if (what == NodeChange::kAnnounced && x.takes_calls()) c.drain(x.station);
      else c.stop(x.station, Move::kRestart);
    }
  }
  if (shape_ < 0) shape_ = choose(c, devices_up(c)).shape;
  if (shape_ >= 0) c.fill(PoolId{shape_});
  return true;
}

/// A pipeline that has drained leaves nodes for another.
void Rerouting::on_phase(StationId s, Phase, Cluster& c) {
  if (shape_ >= 0 && c.instance(s).phase == Phase::kOff) c.fill(PoolId{shape_});
}

}  // namespace orrery
