/// Nodes that come and go, what stands on them, and calls that keep their KV while no instance has them
/// (docs/adr/0005-capacity.md).
#include <algorithm>

#include "sim/engine/cluster.hpp"

namespace orrery {
namespace {

/// Instances of one pool that are off, by number.
bool may_start(const Instance& x) { return x.phase == Phase::kOff || x.phase == Phase::kGone; }

}  // namespace

void ClusterEngine::add_nodes() {
  for (const NodeParts& n : parts_.nodes) nodes_.push_back({.name = n.name, .devices = n.devices});
  node_time_.resize(nodes_.size());
  const auto& c = parts_.capacity;
  for (std::size_t i = 0; i < c.size(); ++i)
    if (i == 0 || c[i].at != c[i - 1].at || c[i].what != c[i - 1].what) push(c[i].at, Event::kNodes, i);
}

void ClusterEngine::change_node(const NodeEvent& e) {
  Node& n = nodes_[static_cast<std::size_t>(e.node)];
  if (n.state != Node::kOff) node_time_[static_cast<std::size_t>(e.node)] += now_ - n.since;
  const bool there = e.what != NodeChange::kGone;
  if (there != (n.state != Node::kOff)) run_->recorder->on_node(now_, there);
  n.state = e.what == NodeChange::kAdded ? Node::kUp : e.what == NodeChange::kAnnounced ? Node::kAnnounced : Node::kOff;
  n.since = now_;
  n.deadline = e.what == NodeChange::kAnnounced ? e.deadline : kNever;
  static constexpr std::string_view kNames[] = {"node added", "node announced", "node gone"};
  act("events", kNames[static_cast<int>(e.what)], {}, nullptr, e.node);
}

/// All node events of one instant and kind. What the policy leaves to do is done, and what stood on a node that has
/// gone stops.
void ClusterEngine::change_nodes(std::size_t first) {
  const NodeChange what = parts_.capacity[first].what;
  std::vector<std::int32_t> changed;
  for (std::size_t i = first; i < parts_.capacity.size(); ++i) {
    const NodeEvent& e = parts_.capacity[i];
    if (e.at != parts_.capacity[first].at || e.what != what) break;
    change_node(e);
    changed.push_back(e.node);
  }
  something_changed_ = true;
  const bool handled = parts_.policy->on_nodes(changed, what, *this);
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    const StationId s = instances_[i].station;
    if (!stands_on(s, changed)) continue;
    if (what == NodeChange::kGone) {
      stop(s, parts_.lost_calls);
    } else if (what == NodeChange::kAnnounced && !handled && at(s).runs()) {
      at(s).deadline = nodes_[static_cast<std::size_t>(changed.front())].deadline;
      enter(s, Phase::kAnnounced, "events");
    }
  }
  if (handled) return;
  for (std::size_t p = 0; p < pools_.size(); ++p)
    if (pools_[p].on_nodes) fill(PoolId{static_cast<std::int32_t>(p)});
}

bool ClusterEngine::stands_on(StationId s, std::span<const std::int32_t> nodes) const {
  const auto& mine = stands_on_[static_cast<std::size_t>(s.index)].nodes;
  return std::find_first_of(mine.begin(), mine.end(), nodes.begin(), nodes.end()) != mine.end();
}

bool ClusterEngine::occupy(StationId s, std::span<const std::int32_t> nodes) {
  if (!may_start(at(s))) return false;
  Standing where;
  std::int32_t left = pool_of(s).devices();
  for (const std::int32_t n : nodes) {
    const std::int32_t take = std::min(left, nodes_[static_cast<std::size_t>(n)].free());
    if (take == 0 || std::find(where.nodes.begin(), where.nodes.end(), n) != where.nodes.end()) continue;
    where.nodes.push_back(n);
    where.devices.push_back(take);
    left -= take;
  }
  if (left > 0) return false;
  for (std::size_t i = 0; i < where.nodes.size(); ++i)
    nodes_[static_cast<std::size_t>(where.nodes[i])].taken += where.devices[i];
  vacate(s);
  stands_on_[static_cast<std::size_t>(s.index)] = std::move(where);
  return true;
}

void ClusterEngine::vacate(StationId s) {
  Standing& where = stands_on_[static_cast<std::size_t>(s.index)];
  for (std::size_t i = 0; i < where.nodes.size(); ++i)
    nodes_[static_cast<std::size_t>(where.nodes[i])].taken -= where.devices[i];
  where = {};
}

/// Nodes with so many free devices: the fullest that has them all, else the first that have them together; empty if
/// there is no room.
std::vector<std::int32_t> ClusterEngine::room_for(std::int32_t devices) const {
  std::vector<std::int32_t> several;
  std::int32_t best = -1, found = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::int32_t n = static_cast<std::int32_t>(i), free = nodes_[i].free();
    if (free >= devices && (best < 0 || free < nodes_[static_cast<std::size_t>(best)].free())) best = n;
    if (free == 0 || found >= devices) continue;
    several.push_back(n);
    found += free;
  }
  if (best >= 0) return {best};
  return found >= devices ? several : std::vector<std::int32_t>{};
}

/// What is there at the beginning of the run serves at once.
void ClusterEngine::fill(PoolId pool) {
  const Pool& p = pools_[static_cast<std::size_t>(pool.index)];
  const Duration delay = now_ == Time{} ? Duration{} : p.start_delay;
  for (std::int32_t i = 0; i < p.count; ++i) {
    const StationId s{p.first.index + i};
    if (!may_start(at(s))) continue;
    const std::vector<std::int32_t> room = room_for(p.devices());
    if (room.empty()) return;
    occupy(s, room);
    start(s, delay, Phase::kLoading);
  }
}

std::vector<Duration> ClusterEngine::paid_nodes(Time end) const {
  std::vector<Duration> paid = node_time_;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].state != Node::kOff) paid[i] += end - nodes_[i].since;
  return paid;
}

bool ClusterEngine::starved() const {
  return !nodes_.empty() &&
         std::none_of(instances_.begin(), instances_.end(), [](const Instance& x) { return x.runs(); });
}

bool ClusterEngine::committed(CallId id) const {
  const Journey* j = journey_of(id);
  return j && j->leg == Leg::kCommitted && j->id == id;
}

/// A call whose instance has stopped keeps its KV, if its prompt was done: all its tokens but the last are computed.
bool ClusterEngine::commit(CallId id) {
  Progress& p = run_->calls.progress(id);
  CallSecret& s = run_->calls.secret(id);
  const Tokens context = call(id).prompt + Tokens{p.emitted} - 1_tok;
  if (p.emitted == Tokens32{} || p.emitted == s.output || p.computed != context) return false;
  unexpect(id);
  p.stage = Stage::kMoving;
  s.station = {};
  set_out(id, Leg::kCommitted);
  Journey& j = journey(id);
  j.at = j.to = {};
  j.how = Move::kCommit;
  j.context = context;
  act("engine", "commit", {}, &call(id), context.value());
  place(id, now_, true);
  return true;
}

/// It is placed: its KV lands there when there is room.
void ClusterEngine::await(CallId id, StationId to) {
  expect(id, to);
  journey(id).since = now_;
  act("policy", "resume", to, &call(id), 0);
  queue_for(id, to);
}

void ClusterEngine::land_committed(CallId id) {
  Journey& j = journey(id);
  const StationId to = j.to;
  unexpect(id);
  j.queued += now_ - j.since;
  host_->station(to).land(id, j.context, j.booked, now_);
  run_->calls.secret(id).station = to;
  j.at = j.decoded = to;
  ++j.migrations;
  ++migrations_;
  end_journey(id);
  act("engine", "land", to, &call(id), -1);
}

/// The instance that it waited for has gone, or has no room for it at all.
void ClusterEngine::hold_again(CallId id) {
  Journey& j = journey(id);
  j.leg = Leg::kCommitted;
  j.to = {};
  held_.push_back(id);
  something_changed_ = true;
}

void ClusterEngine::forget(CallId id) {
  if (!committed(id)) return;
  end_journey(id);
  reset(id, Move::kRecompute);
}

}  // namespace orrery
