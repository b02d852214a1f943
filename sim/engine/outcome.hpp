/// What a simulation came to, without the engine that made it.
///
///   Outcome out = Simulation(parts).run();     out.summary.latencies.ttft.p99
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/cluster.hpp"
#include "sim/metrics/spend.hpp"
#include "sim/metrics/summary.hpp"

namespace orrery {

/// Starts of instances that loaded weights, from the order until they served.
struct ColdStarts {
  struct Times { std::int64_t count = 0; double mean_s = 0, p99_s = 0; };
  Times all;
  std::array<Times, kTiers> by_tier;   ///< by Tier
};

/// Watts are means over telemetry intervals.
struct PowerResult {
  std::string name;
  double budget_w = 0, mean_w = 0, peak_w = 0, rise_5s_w = 0, rise_40s_w = 0;
  double server_peak_w = 0;  ///< largest power of a server in one iteration (without pipelines), rest included
  std::int64_t samples = 0, brakes = 0, caps = 0;
  double capped_s = 0, braked_s = 0;   ///< with a clock below full speed at some server; with the brake on
};

/// What one station came to, idle time included.
struct StationResult {
  Duration present{}, busy{};     ///< busy: on average over its stages
  double joules = 0;
  double usd = -1, grams = -1;    ///< negative: not known
};

struct Outcome {
  Summary summary;
  std::uint64_t fingerprint = 0;
  std::uint64_t decisions = 0;    ///< hash of what all stations and the router decided, times left out
  std::int64_t events = 0;        ///< instants with work, over all stations
  std::int64_t iterations = 0;    ///< simulated, skipped ones included
  std::int64_t cut = 0;           ///< requests shortened to the model's context
  bool interrupted = false;
  std::vector<Duration> paid;     ///< by station, where there is a cluster: time for which it was there
  std::vector<Duration> nodes_paid;   ///< by node of the capacity trace
  Duration downtime{}, longest_downtime{};   ///< of migrating calls: ClusterEngine::downtime
  std::int64_t migrations = 0;
  double bytes_moved = 0;         ///< of KV, between instances
  std::vector<PowerResult> power; ///< by power domain
  double grams = -1;              ///< of CO2; negative: no carbon signal
  ColdStarts cold_starts;
  std::optional<ChargeResult> charges;
  std::vector<StationResult> stations;   ///< where requests are charged
};

}  // namespace orrery
