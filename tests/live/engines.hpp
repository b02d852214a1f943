/// A scenario's policies on a live executor: the real CPU engine with a small model, or an engine that keeps all books
/// and computes nothing, priced by the scenario's cost.
///
///   LiveRun run(scenario, cpu_device());       // run.result, run.logs, run.outputs
#pragma once

#include <memory>
#include <vector>

#include "calibrate/live/live_executor.hpp"
#include "calibrate/live/replay.hpp"
#include "tests/twin/engine_run.hpp"

namespace orrery {

struct LiveRun {
  /// `priced`: steps take what the scenario's cost says, not what was measured.
  LiveRun(const Scenario& scenario, const LiveDevice& device, bool priced = false);

  EngineResult result;
  std::vector<StepLog> logs;            ///< by station
  std::uint64_t outputs = 0;            ///< of all stations (LiveExecutor::outputs)
};

/// The scenario with the times of `logs`; the plain engine.
EngineResult replayed(const Scenario& scenario, const std::vector<StepLog>& logs);

/// A Llama of two layers, dense or of experts; made once.
const LiveDevice& cpu_device(bool experts = false);
/// Keeps no numbers at all.
const LiveDevice& ghost_device();

/// Of the scenarios of tests/live/engine.txt.
std::vector<Scenario> live_scenarios();

}  // namespace orrery
