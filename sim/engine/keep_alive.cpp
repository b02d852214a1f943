#include "sim/engine/keep_alive.hpp"

#include <algorithm>

#include "sim/engine/cluster.hpp"

namespace orrery {

/// Orders are given here only, never from within what is told.
void KeepAlive::run(ClusterEngine& cluster) {
  while (!looks_.empty() && looks_.top() <= cluster.now()) looks_.pop();
  idle_.resize(cluster.instances().size());
  drain_idle(cluster);
  if (cluster.somebody_waits()) start_one(cluster);
}

void KeepAlive::drain_idle(ClusterEngine& cluster) {
  const auto all = cluster.instances(parts_.pool);
  auto serving = std::count_if(all.begin(), all.end(), [](const Instance& x) { return x.takes_calls(); });
  for (auto x = all.rbegin(); x != all.rend() && serving > parts_.least; ++x) {
    const bool idle = x->takes_calls() && x->load->calls == 0 && x->inbound == 0;
    if (!idle || idle_[static_cast<std::size_t>(x->station.index)] + parts_.keep_alive > cluster.now()) continue;
    --serving;
    cluster.drain(x->station);
  }
}

void KeepAlive::start_one(ClusterEngine& cluster) {
  const auto gone = [](const Instance& x) { return x.phase == Phase::kOff || x.phase == Phase::kGone; };
  const auto coming = [](const Instance& x) {
    return x.takes_calls() || x.phase == Phase::kProvisioning || x.phase == Phase::kLoading || x.phase == Phase::kWarm;
  };
  const auto all = cluster.instances(parts_.pool);
  if (std::any_of(all.begin(), all.end(), coming)) return;
  const auto may_start = [&](const Instance& x) { return gone(x) && !cluster.broken(x.station); };
  const auto first = std::find_if(all.begin(), all.end(), may_start);
  if (first != all.end()) cluster.start(first->station, parts_.start_delay, Phase::kLoading);
}

/// One that serves from now on has no calls yet; one that has gone may be missed.
void KeepAlive::on_phase(StationId s, Phase, ClusterEngine& cluster) {
  if (cluster.instance(s).pool != parts_.pool) return;
  if (cluster.instance(s).takes_calls()) on_idle(s, cluster);
  else looks_.push(cluster.now());
}

void KeepAlive::on_idle(StationId s, ClusterEngine& cluster) {
  if (cluster.instance(s).pool != parts_.pool) return;
  idle_.resize(cluster.instances().size());
  idle_[static_cast<std::size_t>(s.index)] = cluster.now();
  looks_.push(cluster.now() + parts_.keep_alive);
}

void KeepAlive::on_wait(ClusterEngine& cluster) { looks_.push(cluster.now()); }

}  // namespace orrery
