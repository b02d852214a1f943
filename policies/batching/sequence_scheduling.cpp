#include "policies/batching/sequence_scheduling.hpp"

#include <algorithm>

#include "policies/batching/rectangle.hpp"
#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, SequenceSchedulingConfig& c) {
  d.field("group", c.group, {1, 65536}, "Calls that are scheduled together");
  d.field("max_running", c.max_running, {1, 65536}, "Calls in one batch, where vbs does not say");
  d.field("bucket", c.bucket, {1, 65536}, "vbs: predicted lengths are rounded up to multiples of this");
  d.field("vbs", c.vbs, "Variable batch size");
  d.field("fcr", c.fcr, "Failure collection and recomputation");
}

void SequenceScheduling::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  if (station.group.size > 0) {
    Tokens emitted;                                                         // the same for all, but after a swap
    for (CallId call : station.group.members) emitted = std::max(emitted, station.emitted(call));
    const Tokens left = bound(station) - emitted;
    if (left > 0_tok) {                                                     // the batch runs to its bound
      decode_batch(station, plan, config_.max_running);
      plan.repeat = Repeat::at_most(left.value());
      return plan.pad(decode_padding(station));
    }
    std::vector<CallId> failures(station.group.members.begin(), station.group.members.end());
    std::ranges::sort(failures, {}, [&](CallId call) { return station.call(call).number; });
    for (CallId call : failures) plan.preempt(call, Leave::kRestart);       // anew, later
    return;
  }
  if (decode_batch(station, plan, config_.max_running) > 0_tok || !station.held.empty()) return;
  auto batch = open_group(station, false);
  if (batch.empty()) batch = open_group(station, true);                     // the group's failures come last
  batch.resize(config_.vbs ? next_batch(batch) : std::min<std::size_t>(batch.size(), config_.max_running));
  for (const Sized& item : batch)
    if (!plan.admit(item.call)) break;
    else plan.prefill(item.call, Tokens::max());
  plan.pad(prefill_padding(plan));
}

/// Waiting calls of the group, by predicted length: those not tried yet, or those that failed. If none is left of it,
/// the next group: the first calls of the queue.
std::vector<Sized> SequenceScheduling::open_group(const StationView& station, bool failed) const {
  std::vector<Sized> items;
  auto in_group = [&](CallId call) { return station.call(call).number < group_end_; };
  const bool open = std::ranges::any_of(station.waiting, in_group);
  for (CallId call : station.waiting) {
    if (open ? !in_group(call) : items.size() == static_cast<std::size_t>(config_.group)) continue;
    const bool tried = station.progress(call).preemptions > 0;
    if (tried == failed) items.push_back({bucket_of(station.call(call), width()), call});
  }
  std::ranges::stable_sort(items, {}, &Sized::length);
  return items;
}

/// Output tokens after which the running batch is stopped.
Tokens SequenceScheduling::bound(const StationView& station) const {
  Tokens most;
  for (auto list : {station.group.members, station.held})
    for (CallId call : list)
      if (!config_.fcr || station.progress(call).preemptions > 0) return Tokens::max();   // a retry has none
      else most = std::max(most, bucket_of(station.call(call), width()));
  return most;
}

void SequenceScheduling::on_event(const CallEvent& e) {
  const std::uint64_t number = e.call->number;
  if (e.kind == CallEvent::kArrived || e.kind == CallEvent::kPreempted) waiting_.insert(number);
  if (e.kind == CallEvent::kAdmitted && number >= group_end_) {   // the first of a new group
    auto last = waiting_.begin();
    for (int i = 1; i < config_.group && std::next(last) != waiting_.end(); ++i) ++last;
    group_end_ = std::max(*last, number) + 1;
  }
  if (e.kind == CallEvent::kAdmitted || e.kind == CallEvent::kFinished || e.kind == CallEvent::kMovedOut)
    waiting_.erase(number);
}

}  // namespace orrery
