/// What every batcher does in the same way: decode all that runs, and bring swapped calls back before newcomers.
///
///   Tokens left = budget - decode_all(station, plan, max_running);
///   for (CallId call : newcomers(station, plan)) ...
#pragma once

#include <span>

#include "sim/plan.hpp"

namespace orrery {

/// The group decodes, giving way while blocks are short. If nobody had to, swapped calls come back, in queue order, as
/// long as they fit, and decode as well (vLLM's order). Returns how many decode.
Tokens decode_all(const StationView&, BatchPlan&, int max_running);

/// The waiting calls; none if a call was preempted just now or a swapped one could not come back, so that newcomers
/// never pass it.
std::span<const CallId> newcomers(const StationView&, const BatchPlan&);

}  // namespace orrery
