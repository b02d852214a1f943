#include "policies/batching/steps.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// The first of the waiting and the swapped calls; invalid if there is none.
CallId head_of_line(const StationView& s) {
  if (s.swapped.empty()) return s.waiting.empty() ? CallId{} : s.waiting.front();
  const bool waiting_first = !s.waiting.empty() && s.before(s.waiting.front(), s.swapped.front());
  return waiting_first ? s.waiting.front() : s.swapped.front();
}

/// Blocks that a call off the device wants to come to run with.
Blocks wanted(const StationView& s, CallId call) {
  if (s.progress(call).stage == Stage::kSwapped)
    return s.kv.blocks_for(std::max(s.context(call) + 1_tok, Tokens{s.progress(call).reserved}));
  const Tokens target = s.target(call);
  return s.kv.blocks_for(s.kv_policy->reserve(s.call(call), target, target)) + s.kv.watermark;
}

/// The last in the order of those that decode and stay; invalid if there is none. One that fills all KV stays: it could
/// never come back.
CallId last_in_order(const StationView& s, const BatchPlan& plan) {
  CallId last;
  for (CallId call : s.group.members) {
    if (plan.has_left(call) || s.context(call) >= s.kv.largest_lease()) continue;
    if (!last.valid() || s.before(last, call)) last = call;
  }
  return last;
}

/// Iterations during which nobody of the group sinks in the order.
std::int64_t steady(const StationView& s) {
  Tokens out = Tokens::max();
  for (CallId call : s.group.members) out = std::min(out, s.order->steady(s.call(call), s.present(call)));
  return out.value();
}

}  // namespace

void give_way(const StationView& s, BatchPlan& plan, int max_running) {
  const CallId head = head_of_line(s);
  if (!head.valid() || s.group.size == 0) return;
  plan.repeat.at_most_also(steady(s));
  const Blocks want = wanted(s, head);
  if (plan.running() < max_running && plan.available() >= want) {   // it waits for something else; the room may shrink
    const std::int64_t lasts = (plan.available() - want).value() / s.group.size;
    return plan.repeat.at_most_also(std::max<std::int64_t>(lasts, 1));
  }
  while (plan.running() >= max_running || plan.available() + plan.pending() < want) {
    const CallId last = last_in_order(s, plan);
    if (!last.valid() || !s.before(head, last)) return;
    plan.preempt(last, plan.leaving(last));
    if (s.kv.contiguous) return;   // which runs will join, the ledger knows when it is gone
  }
}

void bring_back(const StationView& station, BatchPlan& plan, int max_running) {
  for (CallId call : station.swapped) {
    const bool behind = preempts(station) && !station.waiting.empty() && station.before(station.waiting.front(), call);
    if (behind || plan.running() >= max_running || !plan.resume(call)) break;
  }
  if (!plan.decodes()) plan.decode(station.group);   // nobody ran, but some came back
}

std::span<const CallId> newcomers_before_swapped(const StationView& station, const BatchPlan& plan) {
  const std::size_t back = plan.resumed().size();
  if (back == station.swapped.size()) return station.waiting;
  if (!preempts(station)) return {};
  const CallId next = station.swapped[back];
  const auto end = std::ranges::find_if(station.waiting, [&](CallId call) { return !station.before(call, next); });
  return station.waiting.first(static_cast<std::size_t>(end - station.waiting.begin()));
}

}  // namespace orrery
