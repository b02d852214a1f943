#include "policies/migration/freeness.hpp"

#include <algorithm>

namespace orrery {

Occupancy occupancy_of(const Instance& x, const Cluster& cluster, int high) {
  const KvState kv = cluster.kv(x.station);
  Occupancy o;
  o.total = kv.total;
  o.free = kv.available();
  o.running = cluster.running(x.station);
  o.ends = !x.takes_calls();
  for (const CallId id : cluster.waiting(x.station)) {
    const Tokens said = cluster.emitted(id);
    const Blocks needs = kv.blocks_for(Tokens{cluster.call(id).prompt} + said);
    if (o.waiting++ == 0) o.head = needs;
    o.queued += needs;
    o.preempted = o.preempted || said > 0_tok;
  }
  const auto running = cluster.decoding(x.station);
  o.urgent = std::any_of(running.begin(), running.end(),
                         [&](CallId id) { return cluster.call(id).priority <= high; });
  return o;
}

double freeness(const Occupancy& o, Blocks headroom, Queue queue) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (o.ends) return -kInfinity;
  const bool all = queue == Queue::kAll;
  const std::int32_t calls = o.running + (all ? o.waiting : std::min(o.waiting, 1));
  if (calls == 0) return kInfinity;
  const Blocks left = o.free - (all ? o.queued : o.head) - (o.urgent ? headroom : Blocks{});
  return static_cast<double>(left.value()) / calls;
}

}  // namespace orrery
