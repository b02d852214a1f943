/// What every batcher does in the same way: decode all that runs, and bring swapped calls back before newcomers.
///
///   Tokens left = budget - decode_all(station, plan, max_running);
///   for (CallId call : newcomers(station, plan)) ...
///
/// Under an order that preempts (QueueOrder::preempts), decode_all also makes those that decode give way: as long as
/// the head of the line, the first of the waiting and the swapped calls, has no room, whoever decodes and comes last
/// after it leaves, as the KvPolicy says. The head takes the place in the next step, when blocks that are swapped out
/// are free.
#pragma once

#include <span>

#include "sim/plan.hpp"

namespace orrery {

inline bool preempts(const StationView& s) { return s.order != nullptr && s.order->preempts(); }

// What is rare (steps.cpp).
void give_way(const StationView&, BatchPlan&, int max_running);
void bring_back(const StationView&, BatchPlan&, int max_running);
std::span<const CallId> newcomers_before_swapped(const StationView&, const BatchPlan&);

/// The same as decode_all for batchers that choose by themselves who is in a batch, and for how long: no order makes
/// anybody leave.
inline Tokens decode_batch(const StationView& station, BatchPlan& plan, int max_running) {
  plan.decode(station.group);
  if (!station.swapped.empty() && plan.leave().empty()) bring_back(station, plan, max_running);
  return plan.decoding();
}

/// The group decodes, giving way while blocks are short. If nobody had to, swapped calls come back, in queue order, as
/// long as they fit, and decode as well (vLLM's order); under an order that preempts, not past a waiting call that
/// comes before them. Returns how many decode. Sets no `repeat`, but shortens it where an order may preempt.
inline Tokens decode_all(const StationView& station, BatchPlan& plan, int max_running) {
  if (preempts(station)) give_way(station, plan, max_running);
  return decode_batch(station, plan, max_running);
}

/// The waiting calls; none if a call was preempted just now or a swapped one could not come back, so that newcomers
/// never pass it. Under an order that preempts, those that come before the first swapped one.
inline std::span<const CallId> newcomers(const StationView& station, const BatchPlan& plan) {
  if (!plan.leave().empty()) return {};
  return station.swapped.empty() ? station.waiting : newcomers_before_swapped(station, plan);
}

}  // namespace orrery
