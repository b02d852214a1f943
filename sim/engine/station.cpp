#include "sim/engine/station.hpp"

#include <algorithm>
#include <string>

namespace orrery {

Station::Station(StationId id, const StationParts& parts, RunContext& run, StationLoad& load)
    : id_(id), parts_(parts), run_(&run), load_(&load), ledger_(parts.kv, run.calls, run.paths),
      stage_free_(static_cast<std::size_t>(parts.cost ? parts.cost->stages() : 1)),
      batcher_events_(parts.batcher->wants_events()),
      order_events_(parts.order != nullptr && parts.order->wants_events()),
      dynamic_order_(parts.order != nullptr && parts.order->dynamic()), hash_(static_cast<std::uint64_t>(id.index)) {
  const int lanes = static_cast<int>(stage_free_.size());
  lanes_.reserve(static_cast<std::size_t>(lanes));
  for (int i = 0; i < lanes; ++i) lanes_.emplace_back(i, parts.kv);
  std::vector<const DecodeGroup*> groups;
  for (const Lane& lane : lanes_) groups.push_back(&lane.group);
  ledger_.attach(std::move(groups));
  for (Lane& lane : lanes_) prepare_view(lane);
  events_ = batcher_events_ || order_events_;
  model_ = parts.executor->only_prices();
  live_ = parts.executor->wants_journal();
  ledger_.keep_journal(live_);
  reuses_plans_ = run.fast_forward && lanes == 1 && !live_ && !dynamic_order_;
  parts.executor->bind(run.paths);
}

bool Station::accepts(CallId id) const {
  const Call& call = run_->calls.call(id);
  const Tokens target = Tokens{call.prompt} + run_->calls.progress(id).emitted;
  const Tokens reserve = parts_.kv_policy->reserve(call, target, target);
  return !ledger_.never_fits(reserve, parts_.kv_policy->promise(call, reserve), target + 1_tok);
}

void Station::enqueue(CallId id, Time now) {
  disturb(now);
  Progress& p = run_->calls.progress(id);
  p.stage = Stage::kWaiting;
  run_->calls.set_key(id, key(id, nullptr));
  waiting_.insert(id, run_->calls);
  const Call& call = run_->calls.call(id);
  ++load_->calls;
  ++load_->waiting;
  if (run_->calls.secret(id).first_token == kNever) load_->prompt_tokens += call.prompt;
  load_->tokens += call.prompt + call.predicted_high;
  run_->recorder->on_waiting(now, 1);
  tell(CallEvent::kArrived, id, now, 0);
}

Tokens Station::context(CallId id) const {
  const Progress& p = run_->calls.progress(id);
  const bool decodes = p.stage == Stage::kDecode;
  return p.computed + (decodes ? Tokens{p.ran(lanes_[static_cast<std::size_t>(p.lane)].group.clock())} : Tokens{});
}

Tokens Station::emitted(CallId id) const {
  const Progress& p = run_->calls.progress(id);
  const bool decodes = p.stage == Stage::kDecode;
  return p.emitted + (decodes ? Tokens{p.ran(lanes_[static_cast<std::size_t>(p.lane)].group.clock())} : Tokens{});
}

std::int64_t Station::key(CallId id, const StationView* view) const {
  if (!parts_.order) return to_ps(run_->calls.call(id).arrival);
  return parts_.order->key(id, run_->calls.call(id), run_->calls.progress(id), view);
}

void Station::tell_policies(CallEvent::Kind kind, CallId id, Time now, int lane) {
  const CallEvent event{kind, id, &run_->calls.call(id), now, lane};
  if (batcher_events_) parts_.batcher->on_event(event);
  if (order_events_) parts_.order->on_event(event);
}

}  // namespace orrery
