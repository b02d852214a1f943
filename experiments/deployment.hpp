/// The hardware side of a run: /model, /hardware, /cluster and /engine as prices of steps, KV capacity and facts.
///
///   DeploymentParts d = make_deployment(config, policies, errors);    // d.cost is null if there were errors
#pragma once

#include <memory>
#include <vector>

#include "calibrate/live/device.hpp"
#include "experiments/result.hpp"
#include "experiments/run_config.hpp"
#include "hwmodels/deployment.hpp"
#include "sim/cost.hpp"
#include "sim/engine/ledger.hpp"
#include "sim/policy.hpp"

namespace orrery {

struct DeploymentParts {
  std::shared_ptr<const Deployment> hardware;  ///< null if there were errors
  const CostModel* cost = nullptr;             ///< of one replica; shared by its stations and replications
  std::shared_ptr<const LiveDevice> device;    ///< of a live executor, instead of the two above (live.hpp)
  DeploymentFacts facts;
  KvConfig kv;                                 ///< of one replica, before the KV policy has its say
  Bytes kv_bytes_per_token;                    ///< over all devices of a replica
  std::vector<InputFact> inputs;               ///< where model, hardware and engine were found
  Value resolved_model, resolved_hardware;     ///< for config.json
};

/// Engine whose host terms and memory reserve count where the config names no preset.
inline constexpr std::string_view kDefaultEngine = "vllm-0.24";

/// `policies`: what /policy came to; the limits of the batching policy decide how much memory activations take.
DeploymentParts make_deployment(const RunConfig& config, const Value& policies, ErrorList& errors);

/// The ledger of a station under a KV policy.
KvConfig kv_config(const DeploymentParts& deployment, const EngineConfig& engine, const KvPolicy& policy);

/// The document with the settings of its engine preset below it, so that what the config says wins. Returns the keys of
/// /engine that the preset alone sets.
std::vector<std::string> apply_preset(Document& document, ErrorList& errors);

}  // namespace orrery
