/// What a run came to: the outcome of each replication, and the facts about the deployment and the inputs that a reader
/// needs to judge it. summary.hpp makes JSON of it, screen.hpp the text; nothing is printed that is not in the JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/value.hpp"
#include "sim/engine/outcome.hpp"
#include "sim/metrics/summary.hpp"
#include "sim/metrics/tenant_service.hpp"

namespace orrery {

/// A published score without and with what was chosen.
struct QualityFact {
  std::string task;
  double baseline = 0, value = 0;
  std::string source;
};

/// What is simulated, as its owners describe it.
struct DeploymentFacts {
  std::string model, dtype, hardware;
  std::string cost, error;       ///< where the prices of steps come from; their held-out error
  std::int64_t batch_limit = 0;  ///< calls that the batching policy runs at once; 0: not known
  std::int64_t replicas = 1, tp = 1, pp = 1;
  double weight_bytes_per_gpu = 0, kv_bytes_per_token = 0, memory_bytes_per_gpu = 0;
  std::int64_t block_tokens = 16, blocks = 0;  ///< of one replica
  std::string kv_source;                       ///< "derived: ..." or "pinned: /engine/kv_blocks"
  std::int64_t max_context = 0;                ///< tokens; 0: no limit
  double peak_flops = 0, peak_bytes = 0;       ///< of one replica, a second
  double idle_watts = 0;                       ///< of one replica
  double usd_per_hour = 0;                     ///< of all; 0: price unknown
  std::string price_source, host_source;       ///< host_source: "host overhead: assumed" or its source
  double map_s_per_token = 0;                  ///< mapping of KV that steps wait for, for each token computed
  std::vector<QualityFact> quality;            ///< what the KV format does to answers, as published
  std::string executor = "model", clock;       ///< what ran the steps; of a live one, the clock it was measured by
  bool validated = false;                      ///< this model's prices on this device passed beside a real engine
  std::string real_engine_check = "never compared with a real engine";
  std::string engine, host_engine;             ///< preset, or "" where none is named; whose host terms count
  std::vector<std::string> not_modelled;
  std::vector<std::string> provenance;  ///< a line each: model, hardware, engine, power, price

  std::int64_t all_gpus = 0, all_blocks = 0;   ///< of several pools together; 0: there is one

  std::int64_t gpus() const { return all_gpus > 0 ? all_gpus : replicas * tp * pp; }
  std::int64_t blocks_total() const { return all_blocks > 0 ? all_blocks : blocks * replicas; }
};

/// The highest rate of arrivals that keeps the SLO (max_rate.hpp); by seed.
struct MaxRate {
  std::vector<double> per_s;
  double offered_per_s = 0;       ///< of the config itself
  std::int64_t simulations = 0;
};

/// The same run with a queue that knows all lengths (clairvoyant.hpp), and the result itself; by replication.
struct Clairvoyant {
  struct Run { double goodput_rps, ttft_s, e2e_s; };   ///< means of the times
  std::vector<Run> runs, own;
};

/// A file or built-in that the result depends on.
struct InputFact {
  std::string role, name, place;  ///< "trace", "azure.csv", its path or "built in"
  std::string hash;               ///< of its content, 16 hex digits; "" for built-ins
};

struct PredictorFacts {
  std::string name;  ///< "" : none
  bool oracle = false;
  std::int64_t predicted = 0, mispredicted = 0;  ///< mispredicted: the true length is outside [low, high]
};

struct Replication {
  std::uint64_t seed = 0;
  Outcome outcome;
  PredictorFacts predictor;
  std::vector<double>
      alone_s;  ///< of a prompt like those of the slow first tokens: of all, then by class; < 0: unknown
  Value tenants = Value::array();  ///< empty: the workload names none
  Value by_model = Value::object();  ///< empty: requests are for one model
  TenantService service;           ///< with tenants only
  Value incidents;                 ///< null: the config has no events
};

struct SimulatorFacts {
  double wall_s = 0, cpu_s = 0;
  std::int64_t peak_rss_bytes = 0;
};

struct RunResult {
  std::string config_path;
  Value resolved;  ///< config.json
  std::string config_hash;
  std::string command;
  DeploymentFacts deployment;
  std::vector<InputFact> inputs;
  std::vector<std::string> plugins;
  std::vector<std::string> classes;         ///< names by index; empty where there is one class without a name
  std::string batching, router, kv, order;  ///< as the policy line says them
  std::string cluster;                      ///< "" : a router places requests
  Value pools;                              ///< null: one
  std::string priced_by;                    ///< the price signal; "": none
  MaxRate max_rate;                         ///< without values: it was not asked for
  Clairvoyant clairvoyant;                  ///< likewise
  Value placement;                          ///< null: pools were not searched for
  std::string workload;                     ///< "azure-conv-2023, poisson 12/s, 20000 requests"
  std::vector<std::string> workload_notes;
  std::string metrics = "vllm";
  std::vector<std::string> random;        ///< what replications vary; empty: nothing is random
  std::string interval_note;              ///< why there are no intervals, if there are none
  std::vector<Replication> replications;  ///< at least one; the result is their mean
  std::vector<Replication> resamples;     ///< of the trace (resample.hpp); for the intervals alone
  std::vector<Replication> perturbed;     ///< with a drawn cost model, otherwise as replication i (or the only one)
  SimulatorFacts simulator;
  bool interrupted = false;

  const Summary& first() const { return replications.front().outcome.summary; }
};

}  // namespace orrery
