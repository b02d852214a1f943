/// The policies of a run, built from their names and parameters, and the list of all there are.
///
///   PolicySet p = make_policies(config, registry, errors);    // p.resolved: what /policy came to, defaults included
///   std::cout << to_json(list_policies(registry, ""));         // [{name, slot, system, aliases, parameters}]
///
/// Limits of /engine (max_num_seqs, ...) go to the batching policy's parameters of that meaning, unless /policy states
/// them. The KV policy follows the batching system where the config names none (usual_kv).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "experiments/run_config.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PolicySet {
  std::vector<std::unique_ptr<Batcher>> batchers;   ///< one a station: they may keep state
  std::unique_ptr<KvPolicy> kv;
  std::vector<std::unique_ptr<QueueOrder>> orders;  ///< likewise
  std::unique_ptr<LengthPredictor> predictor;       ///< null: none
  std::unique_ptr<Router> router;
  std::unique_ptr<AdmissionPolicy> admission;
  std::unique_ptr<ClusterPolicy> cluster;           ///< null: none, the router places calls
  Value resolved = Value::object();
};

PolicySet make_policies(const RunConfig& config, const Registry& registry, ErrorList& errors);

/// The policy of a power domain; null (and an error) if its name or a parameter is wrong. Fills (*resolved)["power"].
std::unique_ptr<PowerPolicy> make_power_policy(const PowerConfig& power, const Registry& registry, ErrorList& errors,
                                               Value* resolved);
/// A rule of /scaling; null, and an error, if its name (at `pointer`) or a parameter is wrong. `resolved` may be null.
std::unique_ptr<ScalingRule> make_scaling_rule(const PolicyChoice& rule, const std::string& pointer,
                                               const Registry& registry, ErrorList& errors, Value* resolved);

/// All policies, or those called `name` (in any slot); throws ConfigError for an unknown name.
Value list_policies(const Registry& registry, std::string_view name);

}  // namespace orrery
