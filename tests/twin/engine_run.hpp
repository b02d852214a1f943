/// The fast engine on a scenario, with its answer in the twin's terms so that the two compare with ==.
///
///   EngineResult fast = run_engine(scenario, {.fast_forward = true});
///   EXPECT_EQ(difference(run_twin(scenario), fast.as_twin), "");
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/engine/simulation.hpp"
#include "sim/metrics/tenant_service.hpp"
#include "tests/twin/scenario.hpp"

namespace orrery {

struct EngineOptions {
  bool fast_forward = true, verify = false;
  /// What runs the steps of a station instead of the scenario's cost; owned by nobody.
  std::function<Executor*(std::size_t station, const KvConfig& kv)> executor{};
  const ClusterParts* cluster = nullptr;   ///< instead of the router; its pools' counts add up to the stations
  const PowerParts* power = nullptr;
  const TariffParts* tariff = nullptr;
  const ChargeParts* charges = nullptr;
  std::int64_t idle_milliwatts = 0;        ///< of a station
  double usd_per_hour = 0;                 ///< of all stations
};

struct EngineResult {
  TwinResult as_twin;
  Outcome outcome;
  TenantMeter tenants{std::vector<bool>(8, true)};
};

/// The engine that a scenario describes, fed from elsewhere. Both sinks may be null.
Outcome run_engine(const Scenario& scenario, RequestSource& source, const EngineOptions& options, RowSink* rows,
                   DecisionSink* decisions, Observer* also = nullptr);

/// Throws EngineError if an invariant of the engine breaks; std::logic_error if its identities do not hold.
EngineResult run_engine(const Scenario& scenario, const EngineOptions& options);

/// The first difference in words; empty if whole rows, decisions and token counts are equal.
std::string difference(const TwinResult& twin, const TwinResult& engine);
/// The same, and what the summary says about time, energy, gaps between tokens and KV over time, from the same
/// integers.
std::string difference(const Scenario& scenario, const TwinResult& twin, const EngineResult& engine);
/// The same for two runs of the engine, which must agree in everything that a summary says, but for the number of steps
/// that it took.
std::string difference(const EngineResult& a, const EngineResult& b);

}  // namespace orrery
