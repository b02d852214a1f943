/// What befalls a cluster from outside, planned or by chance: instances and nodes that fail, slow replicas, networks
/// that degrade, rolling restarts. Each is an incident with a beginning, and an end when all its instances are as
/// before.
///
///   Operations ops({{.kind = Operation::kFail, .at = at(20min), .pool = p, .count = 1, .lasts = 15min}}, seed);
///   parts.controllers = {&ops};   ...run...   ops.incidents();
///
/// Failures by chance are a Poisson process: gaps drawn from Rng(seed, kFault, 2 x operation), so they do not depend on
/// what the cluster does; whom they hit is drawn, from 2 x operation + 1, among the instances that serve then.
/// O(instances of the pool) an incident.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/cluster_parts.hpp"

namespace orrery {

struct Operation {
  enum Kind : std::uint8_t { kFail, kSlow, kDegrade, kRestart } kind = kFail;
  Time at{};                        ///< the first time; of a process, the time from which it counts
  Duration every{};                 ///< mean time from one to the next, exponential; 0: once
  PoolId pool{0};                   ///< invalid: all pools; with machines only
  PoolId link{};                    ///< kDegrade: it is the link from `pool` to here; invalid: the network of instances
  bool nodes = false;               ///< the numbers below are of machines, which fall with all that stands on them
  std::vector<std::int32_t> which{};   ///< positions in the pool, or numbers of nodes; empty: `count` of them
  std::int32_t count = 1;           ///< that serve, the first, or drawn if it comes again; a restart: at a time
  Duration lasts{};                 ///< until it ends; 0: for good. A restart: a drain lasts so long at most
  Duration start_delay{};           ///< kFail, kRestart: from then until the instance serves
  Duration detect{};                ///< kFail: until it is noticed
  std::int64_t per_mille = 1000;    ///< kSlow: price of a step, kDegrade: bandwidth, of the usual one
  Move calls = Move::kRecompute;    ///< kFail: what becomes of its calls
};

constexpr std::string_view name(Operation::Kind k) {
  constexpr std::string_view names[] = {"fail", "slow", "network", "restart"};
  return names[static_cast<int>(k)];
}

/// What came of it. kNever: not yet, or not at all.
struct Incident {
  std::size_t operation = 0;        ///< number of its Operation
  Time at{}, detected = kNever, ended = kNever;
  std::int32_t instances = 0;
  std::int64_t calls = 0;           ///< that lost their instance, or were sent to one that had failed
};

class Operations final : public ClusterController {
 public:
  Operations(std::vector<Operation> operations, std::uint64_t seed);
  std::string_view name() const override { return "events"; }
  Time next() const override { return tasks_.empty() ? kNever : tasks_.top().at; }
  void run(ClusterEngine&) override;
  void on_phase(StationId, Phase before, ClusterEngine&) override;
  /// Complete after the run.
  const std::vector<Incident>& incidents() const { return incidents_; }

 private:
  /// An incident that is not over: the instances it has yet to treat, and those that are not back.
  struct Open {
    std::size_t incident;
    std::vector<StationId> all, waiting, away;
    std::int64_t hurt = 0;          ///< calls hurt at its instances before it
  };
  struct Task {
    Time at;
    std::uint64_t order;
    enum Kind : std::uint8_t { kBegin, kDetected, kEnd, kForce, kPhase } kind;
    std::size_t what;               ///< operation, or incident
    friend bool operator>(const Task& a, const Task& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  void plan(Time at, Task::Kind kind, std::size_t what) { tasks_.push({at, planned_++, kind, what}); }
  void begin(std::size_t operation, ClusterEngine& cluster);
  void detected(std::size_t incident, ClusterEngine& cluster);
  void end(std::size_t incident, ClusterEngine& cluster);
  void restart_next(Open& open, ClusterEngine& cluster);
  void force(std::size_t incident, ClusterEngine& cluster);
  void see_phases(std::size_t incident, ClusterEngine& cluster);
  std::vector<StationId> choose(std::size_t operation, const ClusterEngine& cluster);
  void hit(const Operation& o, StationId s, ClusterEngine& cluster);
  Open* open(std::size_t incident);
  void close(std::size_t incident, Time now);
  const Operation& operation_of(std::size_t incident) const { return operations_[incidents_[incident].operation]; }

  std::vector<Operation> operations_;
  std::vector<Rng> gaps_, choices_;
  std::vector<Incident> incidents_;
  std::vector<Open> open_;
  std::priority_queue<Task, std::vector<Task>, std::greater<>> tasks_;
  std::uint64_t planned_ = 0;
};

}  // namespace orrery
