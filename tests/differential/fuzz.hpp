/// Random scenarios for the comparison of the fast engine with the twin: every registered policy with random
/// parameters, integer costs with knots and bends, zero costs, equal instants, tight KV, swap, prefixes, pipelines of
/// 1 to 4 stages, 1 to 5 stations, closed loops. A scenario is a pure function of (seed, index).
///
///   Scenario s = random_scenario(1, 42);
///   std::string why = disagreement(s);                 // empty if all engines agree
///   if (!why.empty()) print(to_text(minimised(s)));
#pragma once

#include <cstdint>
#include <string>

#include "tests/twin/scenario.hpp"

namespace orrery {

/// `more`: so many requests beyond the usual 1 to 24.
Scenario random_scenario(std::uint64_t seed, std::uint64_t index, std::int64_t more = 0);

/// Runs the twin, the engine with fast-forward (its policies asked at each skipped iteration) and without, and says
/// what differs first; also what an engine throws.
std::string disagreement(const Scenario& scenario);

/// A smaller scenario that still disagrees: requests, mechanisms and cost terms are dropped one by one.
Scenario minimised(const Scenario& scenario);

}  // namespace orrery
