#include "policies/serverless/serverlessllm.hpp"

#include <algorithm>

#include "policies/serverless/cheapest_set.hpp"

namespace orrery {

void describe(Describer& d, ServerlessLlmConfig& c) {
  describe(d, c.common);
  d.field("alpha", c.alpha, {0, 3600}, "Estimated time to resume a call elsewhere, for each token that it has");
  d.field("beta", c.beta, {0, 3600}, "The same, for each call");
}

/// Instances of a server that could make room, each with the best place for its model.
std::vector<ServerlessLlm::Victim> ServerlessLlm::clearable(std::int32_t server, const Cluster& c) const {
  std::vector<Victim> out;
  for (const Instance& x : instances(c)) {
    if (std::max(x.node, 0) != server) continue;
    if (warm(x)) out.push_back({x.station, {}, {}});
    if (!runs_one(x)) continue;
    const auto decoding = c.decoding(x.station);
    if (decoding.size() != 1 || c.moving(decoding.front())) continue;
    Victim v{x.station, {}, Duration::max()};
    const Duration resume = resume_time(c.context(decoding.front()));
    for (std::int32_t other = 0; other < servers(c); ++other) {
      if (other == server) continue;
      const StationId to = free_on(other, c);
      if (!to.valid()) continue;
      const Duration cost = store().estimate(other, x.model, c.now()).time + resume;
      if (cost < v.cost) v = {x.station, to, cost};
    }
    if (v.to.valid()) out.push_back(v);
  }
  return out;
}

/// The instances of a pool are alike: whichever gives up its devices, they are enough for the new model.
ServerlessLlm::Option ServerlessLlm::on_server(std::int32_t server, std::int32_t model, const Cluster& c) const {
  const Duration load = store().estimate(server, model, c.now()).time;
  if (const StationId s = free_on(server, c); s.valid()) return {load, s, {}};
  const std::vector<Victim> all = clearable(server, c);
  std::vector<Clearable> costs;
  for (const Victim& v : all) costs.push_back({c.pools().front().devices(), v.cost});
  const CheapestSet set = cheapest_set(costs, c.pools().front().devices());
  if (!set.possible) return {};
  Option o{load + set.cost, all[set.members.front()].at, {}};
  for (const std::size_t i : set.members) o.victims.push_back(all[i]);
  return o;
}

bool ServerlessLlm::place_load(CallId id, Cluster& c) {
  const std::int32_t model = c.call(id).model;
  Option best;
  for (std::int32_t server = 0; server < servers(c); ++server)
    if (Option o = on_server(server, model, c); o.time < best.time) best = std::move(o);
  if (!best.station.valid()) return false;
  if (best.victims.empty()) {
    load(best.station, model, c);
    return true;
  }
  for (const Victim& v : best.victims)
    if (v.to.valid()) move_away(v, c);
  reserve(best.station, model, c);
  return true;
}

void ServerlessLlm::move_away(const Victim& v, Cluster& c) {
  migrations_.push_back({v.at, v.to, c.call(c.decoding(v.at).front()).number});
  load(v.to, c.instance(v.at).model, c, For::kMoving);
}

/// False: try again. A call that is not there any more needs no move.
bool ServerlessLlm::try_to_move(const Migration& m, Cluster& c) const {
  const Instance &from = c.instance(m.from), &to = c.instance(m.to);
  if (!from.takes_calls() || from.load->calls == 0) return true;
  if (!to.takes_calls()) return to.phase != Phase::kLoading;
  const auto there = c.decoding(m.from);
  for (const CallId id : std::vector<CallId>(there.begin(), there.end()))
    if (c.call(id).number == m.call) return c.migrate(id, m.to, Move::kLiveTokens);
  return false;   // it computes its prompt again after a preemption
}

void ServerlessLlm::on_round(Cluster& c) {
  std::erase_if(migrations_, [&](const Migration& m) { return try_to_move(m, c); });
}

void ServerlessLlm::on_serving(StationId s, Cluster& c) {
  std::erase_if(migrations_, [&](const Migration& m) { return m.to == s && try_to_move(m, c); });
}

}  // namespace orrery
