/// Everything that a config comes to, checked: deployment, workload, policies. Replications are made from it.
///
///   Assembly a = assemble(load_document("run.json", {}));      // throws ConfigError with all errors
///   Replication r = replicate(a, seed, {});                    // one run
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/live/replay.hpp"
#include "experiments/deployment.hpp"
#include "experiments/operations.hpp"
#include "experiments/policy_set.hpp"
#include "experiments/pools.hpp"
#include "experiments/result.hpp"
#include "experiments/run_config.hpp"
#include "sim/metrics/observer.hpp"
#include "sim/metrics/timeline.hpp"
#include "sim/registry.hpp"
#include "traces/make_source.hpp"

namespace orrery {

struct Assembly {
  RunConfig config;
  std::shared_ptr<Registry> registry;
  DeploymentParts deployment;                ///< of the first pool where there are several; its facts are of all
  std::vector<PoolAssembly> pools;           ///< empty: one deployment under a router
  std::optional<CapacityTrace> capacity;     ///< nodes that the pools stand on
  StepSignal carbon;                         ///< micrograms of CO2 a kWh, PUE counted in; empty: no signal
  std::vector<StepSignal> price;             ///< of /signals/price, 1e-9 USD an hour of a device
  std::vector<StepSignal> other_power;       ///< of /signals/power, milliwatts
  std::vector<StepSignal> bandwidth;         ///< of /signals/bandwidth, bytes a second
  std::vector<Value> resolved_power;         ///< by entry of /power: {"power": its policy with every default}
  ResolvedInfo workload;
  Value resolved_policies;                   ///< /policy with every default
  Value placement;                           ///< what a search for the pools found; null: there was none
  std::string predictor;                     ///< "" : none
  bool oracle = false;
  bool random_predictor = false;             ///< draws, and there is one
  bool random_router = false;                ///< draws, and there is a choice; or the cluster policy does
  Duration staleness{};                      ///< of the router's views

  std::vector<std::string> class_names() const;
  std::vector<std::string> pool_of_stations() const;   ///< names by station; empty: there is one pool without a name
  /// Does /replication ask for a bootstrap of the trace? "auto": where the workload itself is not random.
  bool resamples() const;
  /// What the seed changes: "arrivals and lengths", "router", "predictor"; empty: nothing.
  std::vector<std::string> random() const;
};

/// `plugins`: "NAME=PATH" of the command line; `executor`: what runs the steps.
Assembly assemble(Document document, const std::vector<std::string>& plugins = {},
                  const std::string& executor = "model");

/// What one run may be asked for besides its result. Nothing is owned.
struct Watch {
  RowSink* rows = nullptr;
  Observer* observer = nullptr;
  TimelineSink* timeline = nullptr;
  ActionSink* actions = nullptr;
  bool exact = false, fast_forward = true, verify_fast_forward = false;
  bool resample = false;                     ///< a block bootstrap of the workload, by the seed
  std::optional<Role> swift;  ///< instances of this role are a thousand times as fast: the other role alone
  bool draw_cost = false;                    ///< a cost model drawn from its fitted error, by the seed
  const CostModel* cost = nullptr;           ///< instead of the assembly's own, or of its device
  std::vector<StepLog>* measured = nullptr;  ///< of a live run: receives the steps of each station
  const std::vector<StepLog>* replayed = nullptr;  ///< steps take these times, by station
  const std::atomic<bool>* interrupt = nullptr;
  std::function<void(Time now, std::int64_t arrived)> progress;
};

Replication replicate(const Assembly& assembly, std::uint64_t seed, const Watch& watch);

/// config.json: the document with every default and what the command line set; runs again to the same result.
Value resolved_config(const Assembly& assembly);

}  // namespace orrery
