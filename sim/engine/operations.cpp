#include "sim/engine/operations.hpp"

#include <algorithm>

#include "sim/base/math.hpp"
#include "sim/engine/cluster.hpp"

namespace orrery {
namespace {

constexpr bool gone(Phase p) { return p == Phase::kOff || p == Phase::kGone; }

/// Exponential, in whole picoseconds, at least one.
Duration gap(Duration mean, Rng& rng) {
  const double x = -fast_log2(rng.uniform_positive()) * kLn2 * static_cast<double>(to_ps(mean));
  return Duration{std::max<std::int64_t>(1, static_cast<std::int64_t>(std::min(x, 4e18)))};
}

}  // namespace

Operations::Operations(std::vector<Operation> operations, std::uint64_t seed) : operations_(std::move(operations)) {
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    gaps_.emplace_back(seed, Purpose::kFault, 2 * i);
    choices_.emplace_back(seed, Purpose::kFault, 2 * i + 1);
    const Operation& o = operations_[i];
    const bool again = o.every > Duration{};
    plan(again ? o.at + gap(o.every, gaps_[i]) : o.at, Task::kBegin, i);
  }
}

void Operations::run(ClusterEngine& cluster) {
  const Task task = tasks_.top();
  tasks_.pop();
  switch (task.kind) {
    case Task::kBegin: return begin(task.what, cluster);
    case Task::kDetected: return detected(task.what, cluster);
    case Task::kEnd: return end(task.what, cluster);
    case Task::kForce: return force(task.what, cluster);
    case Task::kPhase: return see_phases(task.what, cluster);
  }
}

/// Instances that stand on one of the chosen machines, or are chosen themselves.
std::vector<StationId> Operations::choose(std::size_t operation, const ClusterEngine& cluster) {
  const Operation& o = operations_[operation];
  const auto all_of_it = o.pool.valid() ? cluster.instances(o.pool) : cluster.instances();
  const std::int32_t first = all_of_it.front().station.index;
  const auto number = [&](const Instance& x) { return o.nodes ? x.node : x.station.index - first; };
  std::vector<std::int32_t> candidates;
  for (const Instance& x : all_of_it) {
    const bool named = std::find(o.which.begin(), o.which.end(), number(x)) != o.which.end();
    if (o.which.empty() ? x.takes_calls() && !cluster.broken(x.station) : named) candidates.push_back(number(x));
  }
  std::sort(candidates.begin(), candidates.end());   // machines may be of several pools
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  const bool all = !o.which.empty() || o.kind == Operation::kRestart;
  const std::size_t wanted =
      all ? candidates.size() : std::min<std::size_t>(static_cast<std::size_t>(o.count), candidates.size());
  if (o.every > Duration{})
    for (std::size_t i = 0; i < wanted; ++i)
      std::swap(candidates[i], candidates[i + choices_[operation].below(candidates.size() - i)]);
  candidates.resize(wanted);
  std::vector<StationId> chosen;
  for (const Instance& x : all_of_it)
    if (!gone(x.phase) && !cluster.broken(x.station) &&
        std::find(candidates.begin(), candidates.end(), number(x)) != candidates.end())
      chosen.push_back(x.station);
  return chosen;
}

void Operations::begin(std::size_t operation, ClusterEngine& cluster) {
  const Operation& o = operations_[operation];
  const Time now = cluster.now();
  if (o.every > Duration{}) plan(now + gap(o.every, gaps_[operation]), Task::kBegin, operation);
  Open open{.incident = incidents_.size(), .all = {}, .waiting = {}, .away = {}};
  if (!o.link.valid()) open.all = choose(operation, cluster);
  if (!o.link.valid() && open.all.empty()) return;   // nobody is there to be hit
  for (const StationId s : open.all) open.hurt += cluster.hurt(s);
  incidents_.push_back({.operation = operation, .at = now, .instances = static_cast<std::int32_t>(open.all.size())});
  if (o.kind == Operation::kRestart) open.waiting = open.all;
  else open.away = open.all;
  open_.push_back(open);
  for (const StationId s : open.away) hit(o, s, cluster);
  if (o.link.valid()) cluster.degrade(o.pool, o.link, o.per_mille);
  if (o.kind == Operation::kFail) plan(now + o.detect, Task::kDetected, open.incident);
  if (o.kind == Operation::kRestart) return restart_next(open_.back(), cluster);
  if (o.lasts > Duration{}) plan(now + o.lasts, Task::kEnd, open.incident);
}

void Operations::hit(const Operation& o, StationId s, ClusterEngine& cluster) {
  if (o.kind == Operation::kFail) cluster.fail(s, o.detect, o.calls);
  if (o.kind == Operation::kSlow) cluster.slow(s, o.per_mille);
  if (o.kind == Operation::kDegrade) cluster.degrade(s, o.per_mille);
}

void Operations::detected(std::size_t incident, ClusterEngine& cluster) {
  Incident& i = incidents_[incident];
  i.detected = cluster.now();
  if (const Open* o = open(incident)) {
    i.calls = -o->hurt;
    for (const StationId s : o->all) i.calls += cluster.hurt(s);
  }
}

/// The cause is gone; failed instances have to come back, the rest is as before.
void Operations::end(std::size_t incident, ClusterEngine& cluster) {
  const Operation& o = operation_of(incident);
  const std::vector<StationId> all = open(incident)->all;
  for (const StationId s : all) {
    if (o.kind == Operation::kSlow) cluster.slow(s, 1000);
    if (o.kind == Operation::kDegrade) cluster.degrade(s, 1000);
    if (o.kind != Operation::kFail) continue;
    cluster.restore(s);
    cluster.start(s, o.start_delay, Phase::kLoading);
  }
  if (o.link.valid()) cluster.degrade(o.pool, o.link, 1000);
  if (o.kind != Operation::kFail) close(incident, cluster.now());
}

/// Instances leave one batch after the other, each when the one before is back.
void Operations::restart_next(Open& open, ClusterEngine& cluster) {
  const Operation& o = operation_of(open.incident);
  const std::size_t incident = open.incident;
  const auto batch = std::min<std::size_t>(static_cast<std::size_t>(o.count), open.waiting.size());
  open.away.assign(open.waiting.begin(), open.waiting.begin() + static_cast<std::ptrdiff_t>(batch));
  open.waiting.erase(open.waiting.begin(), open.waiting.begin() + static_cast<std::ptrdiff_t>(batch));
  const std::vector<StationId> away = open.away;
  for (const StationId s : away) cluster.drain(s);
  if (o.lasts > Duration{}) plan(cluster.now() + o.lasts, Task::kForce, incident);
  plan(cluster.now(), Task::kPhase, incident);   // some may have been off by themselves
}

/// Those that have not drained in time stop.
void Operations::force(std::size_t incident, ClusterEngine& cluster) {
  const Open* o = open(incident);
  if (o == nullptr) return;
  const std::vector<StationId> away = o->away;
  for (const StationId s : away) {
    const Instance& x = cluster.instance(s);
    if (x.phase == Phase::kDraining && x.since + operation_of(incident).lasts <= cluster.now())
      cluster.stop(s, operation_of(incident).calls);
  }
}

/// Phases change in the midst of events; what that means is seen to when they are over.
void Operations::on_phase(StationId s, Phase, ClusterEngine& cluster) {
  for (const Open& o : open_)
    if (std::find(o.away.begin(), o.away.end(), s) != o.away.end()) plan(cluster.now(), Task::kPhase, o.incident);
}

void Operations::see_phases(std::size_t incident, ClusterEngine& cluster) {
  Open* o = open(incident);
  const Operation::Kind kind = operation_of(incident).kind;
  if (o == nullptr || (kind != Operation::kFail && kind != Operation::kRestart)) return;
  const bool restart = kind == Operation::kRestart;
  const std::vector<StationId> away = o->away;
  for (const StationId s : away) {
    const Phase p = cluster.instance(s).phase;
    if (restart && gone(p)) cluster.start(s, operation_of(incident).start_delay, Phase::kLoading);
  }
  o = open(incident);
  std::erase_if(o->away, [&](StationId s) { return cluster.instance(s).takes_calls() && !cluster.broken(s); });
  if (!o->away.empty()) return;
  if (o->waiting.empty()) close(incident, cluster.now());
  else restart_next(*o, cluster);
}

Operations::Open* Operations::open(std::size_t incident) {
  const auto it = std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.incident == incident; });
  return it == open_.end() ? nullptr : &*it;
}

void Operations::close(std::size_t incident, Time now) {
  incidents_[incident].ended = now;
  std::erase_if(open_, [&](const Open& o) { return o.incident == incident; });
}

}  // namespace orrery
