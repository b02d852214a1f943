#include "policies/migration/autoscale.hpp"

#include <limits>

#include "policies/migration/freeness.hpp"

namespace orrery {
namespace {

/// Of several instances together.
struct Average {
  Blocks left;
  std::int64_t calls = 0;
  double value() const {
    return calls == 0 ? std::numeric_limits<double>::infinity()
                      : static_cast<double>(left.value()) / static_cast<double>(calls);
  }
};

bool starts(const Instance& x) {
  return x.phase == Phase::kProvisioning || x.phase == Phase::kLoading || x.phase == Phase::kWarm;
}

Average average(const Cluster& cluster) {
  Average a;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls() && !starts(x)) continue;
    const KvState kv = cluster.kv(x.station);
    a.left += kv.available();
    if (starts(x)) continue;
    a.calls += cluster.running(x.station) + static_cast<std::int64_t>(cluster.waiting(x.station).size());
    for (const CallId id : cluster.waiting(x.station))
      a.left -= kv.blocks_for(Tokens{cluster.call(id).prompt} + cluster.emitted(id));
  }
  return a;
}

}  // namespace

void describe(Describer& d, AutoscaleConfig& c) {
  d.field("autoscale", c.autoscale, "Instances are added and drained by average freeness");
  d.field("scale_interval", c.scale_interval, {1e-3, 86400}, "Between two looks at the average");
  d.field("scale_up_below", c.scale_up_below, {-1e6, 1e6},
          "Average freeness, blocks a call, below which instances are added");
  d.field("scale_down_above", c.scale_down_above, {-1e6, 1e6}, "Average freeness above which one is drained");
  d.field("min_instances", c.min_instances, {1, 65536}, "Serving instances that are never drained");
  d.field("startup", c.startup, {0, 86400}, "From the decision until an added instance serves");
}

void Autoscaler::consider(Cluster& cluster) {
  if (!config_.autoscale || cluster.now() < next_) return;
  next_ = cluster.now() + config_.scale_interval;
  const double now = average(cluster).value();
  if (now < config_.scale_up_below) grow(cluster);
  else if (now > config_.scale_down_above) shrink(cluster);
}

void Autoscaler::grow(Cluster& cluster) const {
  Average a = average(cluster);
  for (const Phase from : {Phase::kDraining, Phase::kOff, Phase::kGone}) {
    for (const Instance& x : cluster.instances()) {
      if (a.value() >= config_.scale_up_below) return;
      if (x.phase != from) continue;
      if (from == Phase::kDraining) cluster.undrain(x.station);
      else cluster.start(x.station, config_.startup, Phase::kLoading);
      a = average(cluster);
    }
  }
}

void Autoscaler::shrink(Cluster& cluster) const {
  const Instance* idlest = nullptr;
  int serving = 0;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls()) continue;
    ++serving;
    if (!idlest || cluster.running(x.station) < cluster.running(idlest->station)) idlest = &x;
  }
  if (serving <= config_.min_instances) return;
  Average rest = average(cluster);
  rest.left -= cluster.kv(idlest->station).total;
  if (rest.value() >= config_.scale_up_below) cluster.drain(idlest->station);
}

}  // namespace orrery
