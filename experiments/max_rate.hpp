/// The highest rate of arrivals at which a config still meets its SLO: whole simulations of it at other rates, with the
/// same requests and random numbers; as many of them, or, where events come at times of their own, for as long. "Meets"
/// is the verdict of a run (every limit at its percentile, misses count as infinitely late), and that it is not
/// OVERLOADED: a run that is too short to feel it does not count.
///
///   MaxRate m = find_max_rate(assembly, {1, 2, 3}, watch, "vllm");   // about 12 runs for each seed
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/result.hpp"

namespace orrery {

struct Assembly;
struct Watch;

inline constexpr double kMaxRateTolerance = 0.01;

/// Why the rate of this config cannot be searched; empty if it can.
std::string max_rate_obstacle(const Assembly& assembly);

/// Without values if it was interrupted. `metrics`: the convention of the limits.
MaxRate find_max_rate(Assembly assembly, const std::vector<std::uint64_t>& seeds, const Watch& watch,
                      const std::string& metrics);

/// {per_s, of_offered, by_seed, interval, tolerance, simulations} for summary.json.
Value max_rate_summary(const MaxRate& found);

}  // namespace orrery
