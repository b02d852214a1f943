#include "policies/migration/llumnix.hpp"

#include <algorithm>
#include <tuple>

namespace orrery {

void describe(Describer& d, LlumnixConfig& c) {
  d.field("migrate", c.migrate, "Calls move between instances; else only dispatch and scaling");
  d.field("poll", c.poll, {1e-4, 3600}, "Between two looks for instances to pair");
  d.field("threshold", c.threshold, {-1e6, 1e6}, "Freeness, blocks a call: sources are below it, destinations above");
  d.field("pairing", c.pairing,
          {{"prefill-constrained", static_cast<int>(Pairing::kPrefillConstrained)},
           {"balanced", static_cast<int>(Pairing::kBalanced)}},
          "Which pairs migrate: all, or those whose gap it narrows");
  d.field("victim", c.victim,
          {{"lcfs", static_cast<int>(Victim::kLast)}, {"sjf", static_cast<int>(Victim::kShortest)},
           {"ljf", static_cast<int>(Victim::kLongest)}},
          "Whom a source gives away: the last to come, the shortest, the longest; low priority first");
  d.field("priorities", c.priorities, "Calls of high priority have headroom and move last; false: Llumnix-base");
  d.field("high_priority", c.high_priority, {-32768, 32767}, "This priority and more urgent ones are high");
  d.field("headroom", c.headroom, {0, 1e9}, "Tokens kept free where calls of high priority run");
  d.field("last_stage", c.last_stage, {1, 1e9}, "Tokens left to copy at which a migrating call stands still");
  d.field("max_stages", c.max_stages, {1, 1000}, "Stages of a copy after which it does so anyway");
  describe(d, c.scaling);
}

std::vector<std::pair<Candidate, Candidate>> pair_up(std::span<const Candidate> all, double threshold) {
  std::vector<Candidate> from, to;
  for (const Candidate& c : all) {
    if (c.freeness < threshold || c.occupancy.preempted) from.push_back(c);
    else if (c.freeness > threshold) to.push_back(c);
  }
  std::sort(from.begin(), from.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(a.freeness, a.station.index) < std::pair(b.freeness, b.station.index);
  });
  std::sort(to.begin(), to.end(), [](const Candidate& a, const Candidate& b) {
    return std::pair(-a.freeness, a.station.index) < std::pair(-b.freeness, b.station.index);
  });
  std::vector<std::pair<Candidate, Candidate>> pairs;
  for (std::size_t i = 0; i < std::min(from.size(), to.size()); ++i) pairs.emplace_back(from[i], to[i]);
  return pairs;
}

bool balances(const Candidate& from, const Candidate& to, Blocks blocks, Blocks headroom, double threshold) {
  Occupancy without = from.occupancy, with = to.occupancy;
  --without.running;
  without.free += blocks;
  ++with.running;
  with.free -= blocks;
  const double left = freeness(without, headroom, Queue::kHead), right = freeness(with, headroom, Queue::kHead);
  return right > threshold && right > left && right - left < to.freeness - from.freeness;
}

Blocks Llumnix::headroom(const Cluster& cluster, StationId s) const {
  return config_.priorities ? cluster.kv(s).blocks_for(config_.headroom) : Blocks{};
}

/// The headroom is there for calls of high priority: to them it is free.
Placement Llumnix::route(CallId id, Cluster& cluster, Rng) {
  const bool urgent = cluster.call(id).priority <= config_.high_priority;
  StationId best;
  double most = 0;
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls()) continue;
    const Occupancy o = occupancy_of(x, cluster, config_.high_priority);
    const double f = freeness(o, urgent ? Blocks{} : headroom(cluster, x.station), Queue::kAll);
    if (!best.valid() || f > most) {
      best = x.station;
      most = f;
    }
  }
  return best.valid() ? Placement::at(best) : Placement::hold();
}

void Llumnix::on_tick(Cluster& cluster) {
  scaler_.consider(cluster);
  if (config_.migrate) rebalance(cluster);
}

bool Llumnix::takes_part(StationId s) const {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [s](const Migration& m) { return m.from == s || m.to == s; });
}

/// An instance takes part in one migration at a time.
void Llumnix::rebalance(Cluster& cluster) {
  std::erase_if(under_way_, [&](const Migration& m) {
    return !cluster.moving(m.call) || cluster.call(m.call).number != m.number;
  });
  std::vector<Candidate> all;
  for (const Instance& x : cluster.instances())
    if (x.runs() && !takes_part(x.station)) {
      const Occupancy o = occupancy_of(x, cluster, config_.high_priority);
      all.push_back({x.station, o, freeness(o, headroom(cluster, x.station), Queue::kHead)});
    }
  for (const auto& [from, to] : pair_up(all, config_.threshold)) {
    const CallId call = victim(from.station, cluster);
    if (!call.valid()) continue;
    const Blocks blocks = cluster.kv(to.station).blocks_for(cluster.context(call));
    if (config_.pairing == Pairing::kBalanced &&
        !balances(from, to, blocks, headroom(cluster, from.station), config_.threshold))
      continue;
    if (cluster.migrate(call, to.station, Move::kLive))
      under_way_.push_back({call, cluster.call(call).number, from.station, to.station});
  }
}

CallId Llumnix::victim(StationId s, const Cluster& cluster) const {
  const auto rank = [&](CallId id) {   // smaller goes first
    const Call& call = cluster.call(id);
    const auto arrival = static_cast<std::int64_t>(call.number);
    const std::int64_t context = cluster.context(id).value();
    const std::int64_t by = config_.victim == Victim::kLast       ? 0
                            : config_.victim == Victim::kShortest ? context
                                                                  : -context;
    return std::tuple(config_.priorities ? -call.priority : 0, by, -arrival);
  };
  CallId best;
  for (const CallId id : cluster.decoding(s))
    if (!cluster.moving(id) && (!best.valid() || rank(id) < rank(best))) best = id;
  return best;
}

}  // namespace orrery
