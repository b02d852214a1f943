#include "sim/engine/scaler.hpp"

#include <algorithm>

#include "sim/engine/cluster.hpp"

namespace orrery {

PoolState Scaler::look(const ClusterEngine& cluster) const {
  PoolState s;
  s.at = cluster.now();
  s.arrived = cluster.placed(parts_.pool);
  std::int64_t held = 0, total = 0;
  for (const Instance& x : cluster.instances(parts_.pool)) {
    s.serving += x.phase == Phase::kServing;
    s.starting += x.phase == Phase::kProvisioning || x.phase == Phase::kLoading || x.phase == Phase::kWarm;
    s.draining += x.phase == Phase::kDraining;
    s.waiting += x.load->waiting;
    s.running += x.load->calls - x.load->waiting;
    if (x.phase != Phase::kServing) continue;
    const KvState kv = cluster.kv(x.station);
    total += kv.total.value();
    held += kv.total.value() - kv.available().value();
  }
  if (total > 0) s.kv_used = static_cast<double>(held) / static_cast<double>(total);
  if (!seen_.empty() && seen_.back().at < s.at)
    s.arrivals_per_s = static_cast<double>(s.arrived - seen_.back().arrived) / to_seconds(s.at - seen_.back().at);
  return s;
}

void Scaler::run(ClusterEngine& cluster) {
  const Time now = cluster.now();
  next_ = now + parts_.every;
  const PoolState present = look(cluster);
  seen_.push_back(present);
  while (seen_.size() > 1 && seen_[1].at + parts_.lag <= now) seen_.pop_front();
  if (seen_.front().at + parts_.lag > now) return;   // nothing as old as that is known yet
  const std::int32_t wanted = std::clamp(parts_.rule->desired(seen_.front(), now), parts_.least, parts_.most);
  scale(cluster, wanted - present.wanted());
}

void Scaler::scale(ClusterEngine& cluster, std::int32_t change) {
  const auto instances = cluster.instances(parts_.pool);
  for (const Phase from : {Phase::kDraining, Phase::kOff, Phase::kGone}) {
    for (const Instance& x : instances) {
      if (change <= 0) break;
      if (x.phase != from || cluster.broken(x.station)) continue;
      if (from == Phase::kDraining) cluster.undrain(x.station);
      else cluster.start(x.station, parts_.start_delay, Phase::kProvisioning);
      --change;
    }
  }
  for (; change < 0; ++change) {
    StationId fewest;
    for (const Instance& x : instances)
      if (x.takes_calls() && (!fewest.valid() || x.load->calls <= cluster.instance(fewest).load->calls))
        fewest = x.station;
    if (!fewest.valid()) return;
    cluster.drain(fewest);
  }
}

}  // namespace orrery
