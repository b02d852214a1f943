/// /cluster/pools and /cluster/links: instances that differ in role, hardware, parallelism or policies, and the network
/// between them. What a pool leaves open it takes from the rest of the config.
///
///   {"pools": [{"name": "prompt", "role": "prefill", "replicas": 25, "tp": 8},
///              {"name": "token", "role": "decode", "replicas": 15, "tp": 8, "hardware": "a100-80g"}],
///    "nodes": [{"count": 20, "gpus": 16, "ssd": {"bandwidth": "12GB/s"}}],
///    "links": [{"from": "prompt", "to": "token", "bandwidth": "200GB/s", "latency": "10us"}]}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/deployment.hpp"
#include "experiments/policy_set.hpp"
#include "experiments/run_config.hpp"
#include "sim/engine/cluster_parts.hpp"

namespace orrery {

struct Assembly;

/// One pool of a run, checked: the config as it counts there, and what that comes to.
struct PoolAssembly {
  RunConfig config;
  DeploymentParts deployment;
  Value resolved_policies;
  KvConfig kv;
  std::string name;
  Role role = Role::kMixed;
  std::int64_t bytes_per_s = 0;     ///< of an instance's network, each way; 0: no limit known
  std::int64_t serving = -1;        ///< instances that serve at the start; -1: all
  Lifecycle lifecycle;
  std::vector<std::int32_t> nodes;  ///< on which its instances stand; empty: /cluster/nodes says nothing
  std::int64_t priority = 0;        ///< of the requests that it is for
};

/// The pools of `config`; none where it names none. `errors` gets what is wrong, by pool.
std::vector<PoolAssembly> assemble_pools(const RunConfig& config, const Registry& registry, ErrorList& errors);

/// Pools, links and nodes for the engine; its policy and its happenings are added by whoever knows them.
/// It refers to the signals of the assembly.
ClusterParts cluster_parts(const Assembly& a);

/// The facts of all pools together: sums of devices, blocks and prices; the rest is the first pool's.
DeploymentFacts combined_facts(const std::vector<PoolAssembly>& pools);

/// For summary.json: name, role, hardware, parallelism, blocks.
Value pools_summary(const std::vector<PoolAssembly>& pools);
/// For config.json: every pool with all that counts there, by name.
Value resolved_pools(const std::vector<PoolAssembly>& pools);

}  // namespace orrery
