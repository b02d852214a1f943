#include "policies/spot/spotserve.hpp"

#include <algorithm>

namespace orrery {
namespace {

bool has(const std::vector<StationId>& list, StationId s) {
  return std::find(list.begin(), list.end(), s) != list.end();
}

bool is_there(const Instance& x) { return x.phase != Phase::kOff && x.phase != Phase::kGone; }

bool all_up(StationId s, const Cluster& c) {
  const auto nodes = c.nodes_of(s);
  return std::all_of(nodes.begin(), nodes.end(), [&](std::int32_t n) {
    return c.nodes()[static_cast<std::size_t>(n)].state == Node::kUp;
  });
}

/// When the first of its announced nodes goes.
Time deadline(StationId s, const Cluster& c) {
  Time first = kNever;
  for (const std::int32_t n : c.nodes_of(s)) first = std::min(first, c.nodes()[static_cast<std::size_t>(n)].deadline);
  return first;
}

}  // namespace

void describe(Describer& d, SpotServeConfig& c) {
  describe(d, static_cast<ElasticConfig&>(c));
  d.field("bandwidth", c.bandwidth, {1, 1e15}, "Of a node, for parameters and KV that move", "B/s");
  d.field("fixed", c.fixed, {0, 1e6}, "Time of a migration besides its bytes");
  d.field("merge", c.merge, {0, 1e6}, "How long a node that has come waits for one that goes");
}

bool SpotServe::on_nodes(std::span<const std::int32_t> nodes, NodeChange what, Cluster& c) {
  ready_.resize(c.nodes().size());
  held_.resize(c.nodes().size());
  fresh_.resize(c.nodes().size());
  bool hit = false;
  for (const std::int32_t n : nodes) {
    const auto i = static_cast<std::size_t>(n);
    if (what != NodeChange::kAnnounced) held_[i].assign(static_cast<std::size_t>(c.nodes()[i].devices), {});
    fresh_[i] = what == NodeChange::kAdded;
    if (what == NodeChange::kAdded) ready_[i] = c.now() == Time{} ? c.now() : c.now() + c.pools().front().start_delay;
  }
  if (what == NodeChange::kGone) {   // too late for anything else
    changing_ = true;
    for (const Instance& x : c.instances()) {
      if (!stands_on_any(x.station, nodes, c)) continue;
      c.stop(x.station, Move::kRecompute);
      hit = true;
    }
    changing_ = false;
  }
  if (hit) change(c);
  else arrange(c);
  return true;
}

void SpotServe::on_tick(Cluster& c) {
  Elastic::on_tick(c);
  arrange(c);
}

void SpotServe::on_rate(Cluster& c) {
  if (current_.shape >= 0 && current_.rate < rate()) change(c);
}

/// 3. When is the next change due? Now: it is made.
void SpotServe::arrange(Cluster& c) {
  Time leaves = kNever, due = kNever;
  for (const Instance& x : c.instances())
    if (is_there(x)) leaves = std::min(leaves, deadline(x.station, c));
  if (leaves != kNever) due = std::max(c.now(), leaves - plan(c, true).time);
  for (std::size_t n = 0; n < fresh_.size(); ++n) {
    if (!fresh_[n] || c.nodes()[n].state != Node::kUp) continue;
    const Time ready = std::max(ready_[n], c.now());
    if (leaves == kNever || leaves - ready > config_.merge) due = std::min(due, ready);
  }
  if (due <= c.now()) change(c);
  else if (due != kNever) c.wake(due);
}

bool SpotServe::usable(std::int32_t node, const Cluster& c) const {
  const auto n = static_cast<std::size_t>(node);
  return c.nodes()[n].state == Node::kUp && ready_[n] <= c.now();
}

SpotServe::Plan SpotServe::plan(const Cluster& c, bool full) {
  Plan p;
  int devices = 0;
  for (std::size_t n = 0; n < c.nodes().size(); ++n)
    if (usable(static_cast<std::int32_t>(n), c)) devices += c.nodes()[n].devices;
  p.choice = choose(c, devices);
  if (p.choice.shape < 0) return p;
  divide(p, c);
  map(p, c, full);
  p.time = migration(p, c);
  return p;
}

/// Pipelines of the chosen shape whose nodes stay go on.
void SpotServe::divide(Plan& p, const Cluster& c) const {
  for (const Instance& x : c.instances()) {
    if (!is_there(x)) continue;
    const bool stays = x.pool.index == p.choice.shape && all_up(x.station, c);
    const bool wanted = static_cast<int>(p.kept.size()) < p.choice.instances;
    (stays && wanted ? p.kept : p.stopped).push_back(x.station);
  }
}

std::int64_t SpotServe::kv_bytes(StationId s, const Cluster& c, bool full) const {
  const Pool& pool = c.pool_of(s);
  std::int64_t tokens = 0;
  if (full) {
    tokens = pool.max_running * (config_.prompt_tokens + config_.output_tokens).value();
  } else {
    const auto calls = c.decoding(s);
    for (const CallId id : std::vector<CallId>(calls.begin(), calls.end())) tokens += c.context(id).value();
  }
  return (pool.kv_bytes_per_token * tokens).value();
}

/// 2. New pipelines on the nodes that no kept pipeline stands on. The calls of old ones go on in new ones, those of the
/// fullest first.
void SpotServe::map(Plan& p, const Cluster& c, bool full) const {
  const Pool& pool = c.pools()[static_cast<std::size_t>(p.choice.shape)];
  DeviceMapInput in;
  in.layers = pool.layers;
  in.weight_bytes = pool.weight_bytes.value();
  in.kv_bytes.resize(c.instances().size());
  for (const StationId s : p.stopped) in.kv_bytes[static_cast<std::size_t>(s.index)] = kv_bytes(s, c, full);

  std::vector<std::int32_t> free_nodes;
  for (std::size_t i = 0; i < c.nodes().size(); ++i) {
    const std::int32_t n[] = {static_cast<std::int32_t>(i)};
    const bool taken = std::any_of(p.kept.begin(), p.kept.end(), [&](StationId s) { return stands_on_any(s, n, c); });
    if (usable(n[0], c) && !taken) free_nodes.push_back(n[0]);
    else in.others.insert(in.others.end(), held_[i].begin(), held_[i].end());
  }
  const int missing = p.choice.instances - static_cast<int>(p.kept.size());
  const int per_node = c.nodes().empty() ? 1 : c.nodes().front().devices;
  if (ceil_div(missing * pool.devices(), per_node) > static_cast<std::int64_t>(free_nodes.size())) {
    p.stopped.insert(p.stopped.end(), p.kept.begin(), p.kept.end());   // kept pipelines leave parts of nodes: all anew
    p.kept.clear();
    return map(p, c, full);
  }
  for (const Instance& x : c.instances(PoolId{p.choice.shape}))
    if (static_cast<int>(p.started.size()) < missing && !has(p.kept, x.station)) p.started.push_back(x.station);

  std::vector<StationId> groups = p.stopped;
  std::stable_sort(groups.begin(), groups.end(), [&](StationId a, StationId b) {
    return in.kv_bytes[static_cast<std::size_t>(a.index)] > in.kv_bytes[static_cast<std::size_t>(b.index)];
  });
  p.inherits.resize(p.started.size());
  for (std::size_t g = 0; g < groups.size() && !p.started.empty(); ++g)
    p.inherits[g % p.started.size()].push_back(groups[g].index);

  std::vector<Position> all;
  for (const auto& calls : p.inherits)
    for (int stage = 0; stage < pool.pp; ++stage)
      for (int shard = 0; shard < pool.tp; ++shard)
        all.push_back({part_of(pool.layers, pool.pp, stage, pool.tp, shard), calls});
  for (std::size_t i = 0; i < all.size(); i += static_cast<std::size_t>(per_node)) {
    const std::size_t end = std::min(all.size(), i + static_cast<std::size_t>(per_node));
    in.slots.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i), all.begin() + static_cast<std::ptrdiff_t>(end));
  }
  for (const std::int32_t n : free_nodes) in.nodes.push_back(held_[static_cast<std::size_t>(n)]);
  p.map = map_devices(in);
  p.devices = static_cast<std::size_t>(pool.devices());
  for (const int n : p.map.node_of) p.slot_node.push_back(free_nodes[static_cast<std::size_t>(n)]);
  p.slots = std::move(in.slots);
  for (std::size_t i = 0; i < p.started.size(); ++i) {
    const int first = static_cast<int>(i) * pool.devices() / per_node;
    const int last = (static_cast<int>(i + 1) * pool.devices() - 1) / per_node;
    p.nodes.emplace_back(p.slot_node.begin() + first, p.slot_node.begin() + last + 1);
  }
}

/// What is there at the beginning of the run serves at once.
Duration SpotServe::migration(const Plan& p, const Cluster& c) const {
  if (p.started.empty() || c.now() == Time{}) return {};
  if (!p.map.complete) return c.pools()[static_cast<std::size_t>(p.choice.shape)].start_delay;
  return from_seconds(static_cast<double>(p.map.worst_bytes) / config_.bandwidth) + config_.fixed;
}

void SpotServe::change(Cluster& c) {
  const Plan p = plan(c, false);
  for (std::size_t n = 0; n < fresh_.size(); ++n)
    if (ready_[n] <= c.now()) fresh_[n] = 0;
  if (p.choice.shape < 0 || (p.stopped.empty() && p.started.empty())) return;
  std::vector<StationId> committing;
  for (const StationId s : p.stopped)
    if (c.now() + p.time <= deadline(s, c)) committing.push_back(s);
  const std::vector<CallId> forgotten = keep_calls(p, committing, c);
  changing_ = true;
  for (const StationId s : p.stopped) c.stop(s, has(committing, s) ? Move::kCommit : Move::kRecompute);
  for (const CallId id : forgotten) c.forget(id);
  for (std::size_t i = 0; i < p.started.size(); ++i) {
    c.occupy(p.started[i], p.nodes[i]);
    c.start(p.started[i], p.time, Phase::kMigrating);
  }
  changing_ = false;
  put_down(p);
  current_ = p.choice;
}

/// 4. Which calls keep their KV, and where they go on: those with most tokens, where most of it is. Returns the others.
std::vector<CallId> SpotServe::keep_calls(const Plan& p, const std::vector<StationId>& committing, const Cluster& c) {
  std::erase_if(kept_, [&](const Kept& k) { return !c.committed(k.id); });
  for (Kept& k : kept_)
    if (has(p.stopped, k.to)) k.to = {};
  struct Candidate {
    CallId id;
    Tokens emitted;
    std::size_t started;
  };
  std::vector<Candidate> all;
  for (const StationId s : committing) {
    std::size_t heir = p.inherits.size();
    for (std::size_t i = 0; i < p.inherits.size(); ++i)
      if (std::find(p.inherits[i].begin(), p.inherits[i].end(), s.index) != p.inherits[i].end()) heir = i;
    const auto calls = c.decoding(s);
    for (const CallId id : std::vector<CallId>(calls.begin(), calls.end())) all.push_back({id, c.emitted(id), heir});
  }
  const auto longer = [](const Candidate& a, const Candidate& b) { return a.emitted > b.emitted; };
  std::stable_sort(all.begin(), all.end(), longer);
  const int batch = std::max(1, c.pools()[static_cast<std::size_t>(p.choice.shape)].max_running);
  std::vector<int> room(p.started.size(), batch);
  std::int64_t elsewhere = 0;   // in pipelines that go on
  for (const StationId s : p.kept) {
    const Instance& x = c.instance(s);
    elsewhere += std::max<std::int64_t>(0, batch - x.load->calls - x.inbound);
  }
  std::vector<CallId> forgotten;
  for (const Candidate& x : all) {
    std::size_t to = x.started;
    if (to == room.size() || room[to] == 0)
      to = static_cast<std::size_t>(std::max_element(room.begin(), room.end()) - room.begin());
    if (to < room.size() && room[to] > 0) {
      --room[to];
      kept_.push_back({x.id, p.started[to]});
    } else if (elsewhere-- > 0) {
      kept_.push_back({x.id, {}});
    } else {
      forgotten.push_back(x.id);
    }
  }
  return forgotten;
}

/// What devices hold from now on.
void SpotServe::put_down(const Plan& p) {
  for (auto& node : held_)
    for (DeviceState& d : node)
      if (has(p.stopped, StationId{d.group}) || has(p.started, StationId{d.group})) d.group = -1;
  std::size_t position = 0;
  for (std::size_t s = 0; s < p.slots.size(); ++s) {
    auto& node = held_[static_cast<std::size_t>(p.slot_node[s])];
    for (std::size_t i = 0; i < p.slots[s].size(); ++i, ++position)
      node[static_cast<std::size_t>(p.map.device_of[s][i])] = {p.slots[s][i].part,
                                                               p.started[position / p.devices].index};
  }
}

std::int64_t SpotServe::reserved(StationId s, const Cluster& c) const {
  return std::count_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.to == s && c.committed(k.id); });
}

StationId SpotServe::place(const Cluster& c) const { return changing_ ? StationId{} : Elastic::place(c); }

StationId SpotServe::place_committed(CallId id, const Cluster& c) {
  if (changing_) return {};
  const auto it = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.id == id; });
  if (it == kept_.end()) return Elastic::place(c);
  if (it->to.valid() && !is_there(c.instance(it->to))) it->to = {};
  const StationId to = !it->to.valid() ? Elastic::place(c) : c.instance(it->to).takes_calls() ? it->to : StationId{};
  if (to.valid()) kept_.erase(it);
  return to;
}

}  // namespace orrery
