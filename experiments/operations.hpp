/// /events and /scaling: what befalls the pools of a run, and the rules that scale them.
///
///   "events": [
///     {"at": "20min", "fail": {"pool": "chat", "nodes": 1}, "for": "15min", "detect": "10s", "start_delay": "2min"},
///     {"at": "5min", "slow": {"pool": "chat", "replica": 3, "factor": 1.5}, "for": "10min"},
///     {"at": "5min", "network": {"pool": "chat", "replicas": 2, "factor": 0.1}},
///     {"at": "5min", "network": {"from": "prompt", "to": "token", "factor": 0.1}, "for": "10min"},   a link
///     {"at": "9min", "fail": {"node": [0, 1]}},                       two machines with all that stands on them
///     {"at": "1h", "restart": {"pool": "chat", "at_once": 2, "drain": "2min"}, "start_delay": "60s"},
///     {"every": "6h", "fail": {"pool": "chat", "replicas": 1}, "for": "15min"}],
///   "scaling": [{"pool": "chat", "rule": "target", "metric": "queue_depth", "target": 4, "min": 2, "max": 16,
///                "every": "15s", "start_delay": "4min"}]
///
/// Whom an event hits: `replicas` or `nodes`, how many (the first that serve; drawn by the seed where it comes again),
/// or `replica` or `node`, which (a number or several). `pool` may be left out where there is one; of machines, it is
/// left out where instances of all pools fall with them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "experiments/run_config.hpp"
#include "sim/engine/keep_alive.hpp"
#include "sim/engine/operations.hpp"
#include "sim/engine/scaler.hpp"
#include "sim/registry.hpp"

namespace orrery {

/// Reads /events; `pools` and `links` are those of the run.
std::vector<Operation> read_events(const Value& v, const std::vector<PoolConfig>& pools,
                                   const std::vector<LinkConfig>& links, ErrorList& errors);
/// "from" and "to" of a link between pools, by index; -1 and an error if there is no such link.
std::pair<std::int32_t, std::int32_t> read_link_names(ObjectReader& r, const std::vector<PoolConfig>& pools,
                                                      const std::vector<LinkConfig>& links);
/// Reads /scaling.
std::vector<ScalingConfig> read_scaling(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors);
/// What can be said once it is known what pools come to: nodes that nobody stands on, networks without a limit.
void check_events(const std::vector<Operation>& events, const ClusterParts& cluster, ErrorList& errors);

/// What lifecycles say that nobody would carry out. `policy`: of the cluster; null: a router.
void check_lifecycles(const RunConfig& config, const ClusterPolicy* policy, const ClusterParts& cluster,
                      ErrorList& errors);

/// The controllers of one run, owned, in the order of ClusterParts::controllers: events, scaling, keep-alive of pools
/// that state it and whose policy leaves it to the engine.
class Controllers {
 public:
  Controllers(const RunConfig& config, const Registry& registry, std::uint64_t seed);
  void keep_alive(const RunConfig& config);
  std::vector<ClusterController*> list() const;
  const Operations* operations() const { return operations_.get(); }   ///< null: there are no events

 private:
  std::unique_ptr<Operations> operations_;
  std::vector<std::unique_ptr<ScalingRule>> rules_;
  std::vector<std::unique_ptr<Scaler>> scalers_;
  std::vector<std::unique_ptr<KeepAlive>> keepers_;
};

}  // namespace orrery
