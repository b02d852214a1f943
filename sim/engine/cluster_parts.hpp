/// What a cluster is made of, and what acts on it: pools, nodes, links, events with known times, controllers. The engine
/// (cluster.hpp) is made from it.
///
///   ClusterParts parts;  parts.pools.push_back({.name = "chat", .count = 4});  parts.policy = &policy;
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/policy.hpp"
#include "sim/signal.hpp"

namespace orrery {

/// Instances that are alike: consecutive stations.
struct PoolParts {
  std::string name;
  std::int32_t count = 1;
  Role role = Role::kMixed;
  std::int32_t priority = 0;         ///< of the calls that it is for; lower is more urgent
  Bytes kv_bytes_per_token{};        ///< over all devices of an instance
  int layers = 1;
  std::int64_t bytes_per_s = 0;      ///< of an instance's network, each way; 0: not a limit
  std::vector<std::int32_t> node_of{};   ///< where its instances stand, one each; empty: not said
  std::int32_t serving = -1;         ///< of them serve at the start, the rest is off; -1: all
  int tp = 1, pp = 1;
  int max_running = 0;               ///< calls that may hold KV at an instance; 0: not known
  Bytes weight_bytes{};
  Duration start_delay{};
  bool on_nodes = false;             ///< they stand on nodes of the capacity trace: off until these are there
  const CostModel* cost = nullptr;
  Lifecycle lifecycle{};
};

/// A machine of the capacity trace.
struct NodeParts {
  std::string name;
  std::int32_t devices = 1;
};

/// A node comes, is announced to go at `deadline`, or goes. Those of one instant and kind that follow each other are
/// one event to the policy.
struct NodeEvent {
  Time at{};
  NodeChange what = NodeChange::kAdded;
  std::int32_t node = 0;
  Time deadline = kNever;
};

/// What all transfers from one pool to another share; absent pairs share nothing.
struct LinkParts {
  PoolId from, to;
  std::int64_t bytes_per_s = 0;      ///< 0: not a limit
  Duration latency{};                ///< of each transfer, before the KV can be used
};

/// A bandwidth that changes over the run: of a link, or of the network of each instance of `from`.
struct BandwidthParts {
  PoolId from, to;                   ///< to: invalid where it is that of instances
  const StepSignal* bytes_per_s = nullptr;   ///< 0: down, a byte a second
};

/// Something that befalls instances at a known time.
struct Happening {
  enum Kind : std::uint8_t { kStart, kAnnounce, kStop, kDrain, kUndrain, kSlow, kLink } kind;
  Time at{};
  StationId station;
  Duration delay{};                  ///< kStart: until it serves; kAnnounce: until it is gone
  std::int64_t per_mille = 1000;     ///< kSlow: price of a step, kLink: bandwidth of its network, of the usual one
};

/// An order or an event, for actions.csv.
struct Action {
  Time at{};
  std::string_view who, what;        ///< "policy", "events", "engine"; "migrate", "drain", ...
  StationId station;
  std::uint64_t request = ~std::uint64_t{0};   ///< number; all ones: none
  std::int64_t value = 0;            ///< the other station, or picoseconds of a delay
  /// How long it should take, if nothing changes meanwhile: a load or a provisioning until it serves, an announced end
  /// until it comes, a copy until it lands, at the rates of now, a round until it is computed, a power order until it
  /// is in force. None: nobody knows.
  std::optional<Duration> estimate{};
};

class ActionSink {
 public:
  virtual ~ActionSink() = default;
  virtual void action(const Action&) = 0;
};

class ClusterEngine;

/// Acts on a cluster beside its policy: what befalls it (operations.hpp), rules that scale it (scaler.hpp), instances
/// that are kept alive (keep_alive.hpp).
class ClusterController {
 public:
  virtual ~ClusterController() = default;
  virtual std::string_view name() const = 0;                ///< in actions.csv
  virtual Time next() const = 0;                            ///< kNever: nothing more is planned
  virtual void run(ClusterEngine&) = 0;                     ///< at next()
  virtual void on_phase(StationId, Phase /*before*/, ClusterEngine&) {}
  virtual void on_idle(StationId, ClusterEngine&) {}        ///< no call is left at an instance that runs
  virtual void on_wait(ClusterEngine&) {}                   ///< a call waits for an instance that would take it
};

/// Nothing is owned; all must outlive the run.
struct ClusterParts {
  ClusterPolicy* policy = nullptr;             ///< null: `router`, among the instances that serve
  Router* router = nullptr;
  std::vector<ClusterController*> controllers; ///< in order within an instant; each of one run
  std::vector<PoolParts> pools;
  std::vector<LinkParts> links;
  std::vector<BandwidthParts> bandwidths;      ///< each link or pool once
  std::vector<Server> servers;                 ///< by Instance::node; may be empty
  std::vector<Happening> happenings;           ///< in order of time
  std::vector<NodeParts> nodes;
  std::vector<NodeEvent> capacity;             ///< in order of time, possible from "all off"
  Move lost_calls = Move::kRecompute;          ///< what becomes of the calls of an instance that is gone
  Tokens tokens_last{20};                      ///< a live move by tokens stops the call then (migration_delta)
  ActionSink* actions = nullptr;
};

}  // namespace orrery
