#include "policies/serverless/shepherd.hpp"

namespace orrery {

/// An instance that is kept alive, else one whose call may be stopped; invalid if there is none.
StationId Shepherd::clearable(std::int32_t server, const Cluster& c) const {
  bool elsewhere = false;
  for (std::int32_t other = 0; other < servers(c); ++other) elsewhere |= other != server && free_on(other, c).valid();
  StationId running;
  for (const Instance& x : instances(c)) {
    if (std::max(x.node, 0) != server) continue;
    if (warm(x)) return x.station;
    const auto i = static_cast<std::size_t>(x.station.index);
    const bool safe = i < safe_.size() && safe_[i] != 0;
    if (elsewhere && !running.valid() && runs_one(x) && !safe) running = x.station;
  }
  return running;
}

void Shepherd::clear(StationId s, std::int32_t model, Cluster& c) {
  if (warm(c.instance(s))) return reserve(s, model, c);
  clearing_ = true;
  preempt(s, model, c);
  clearing_ = false;
}

bool Shepherd::place_load(CallId id, Cluster& c) {
  const std::int32_t model = c.call(id).model;
  Duration best = Duration::max();
  StationId at;
  bool is_free = false;
  for (std::int32_t server = 0; server < servers(c); ++server) {
    const StationId open = free_on(server, c), s = open.valid() ? open : clearable(server, c);
    const Duration time = store().estimate(server, model, c.now()).time;
    if (!s.valid() || time >= best) continue;
    best = time;
    at = s;
    is_free = open.valid();
  }
  if (!at.valid()) return false;
  if (is_free) load(at, model, c);
  else clear(at, model, c);
  return true;
}

void Shepherd::on_hold(CallId id, Cluster& c, Rng) {
  if (clearing_) preempted_.insert(c.call(id).number);
}

void Shepherd::on_placed(CallId id, StationId s, const Cluster& c) {
  safe_.resize(c.instances().size());
  safe_[static_cast<std::size_t>(s.index)] = preempted_.erase(c.call(id).number) > 0 || clearing_;
}

}  // namespace orrery
