/// The hardware side of a run: /model, /hardware, /cluster and /engine as prices of steps, KV capacity and facts.
///
///   DeploymentParts d = make_deployment(config, errors);    // d.cost is null if there were errors
#pragma once

#include <memory>
#include <vector>

#include "experiments/result.hpp"
#include "experiments/run_config.hpp"
#include "sim/cost.hpp"
#include "sim/engine/ledger.hpp"

namespace orrery {

struct DeploymentParts {
  std::shared_ptr<const CostModel> cost;     ///< of one replica; immutable, shared by stations and replications
  DeploymentFacts facts;
  KvConfig kv;                               ///< of one replica, before the KV policy has its say
  Bytes kv_bytes_per_token;                  ///< over all devices of a replica
  std::vector<InputFact> inputs;             ///< where model, hardware and engine preset were found
  Value resolved_model, resolved_hardware;   ///< for config.json
};

DeploymentParts make_deployment(const RunConfig& config, ErrorList& errors);

/// Fills what the engine preset sets and the config leaves open (policies, limits); errors for an unknown preset.
void apply_preset(RunConfig& config, ErrorList& errors);

}  // namespace orrery
