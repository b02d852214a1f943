/// The end of a step: tokens are delivered, calls finish, prompts join the decode group.
#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/engine/station.hpp"

namespace orrery {

void Station::end_swaps(Lane& lane) {
  for (const SwapOut& out : lane.swapping) {
    Progress& p = run_->calls.progress(out.call);
    ledger_.release(out.call, out.context);
    p.reserved = regrown(out.call, out.context);
    run_->calls.set_key(out.call, key(out.call, nullptr));
    swapped_.insert(out.call, run_->calls);
  }
  lane.swapping.clear();
  if (lane.host_returning > Tokens{}) ledger_.end_swap_in(lane.host_returning);
  lane.host_returning = Tokens{};
}

void Station::drop_given_up(Lane& lane, Time now) {
  for (const GivenUp& g : lane.given_up)
    if (run_->calls.alive(g.call)) drop(g.call, g.why, now);
  lane.given_up.clear();
}

/// One whose client has given up leaves with this step; it need not be sent anywhere.
bool Station::goes_elsewhere(const Lane& lane, CallId id, Time now) {
  const auto is_it = [id](const GivenUp& g) { return g.call == id; };
  if (std::any_of(lane.given_up.begin(), lane.given_up.end(), is_it)) return false;
  return run_->mover->takes_over(id, id_, lane.start, now);
}

void Station::first_token_or_gap(CallId id, Time now) {
  CallSecret& s = run_->calls.secret(id);
  const Call& call = run_->calls.call(id);
  for (Observer* o : run_->observers) o->on_token(id, call, s.first_token == kNever, now);
  if (s.first_token == kNever) {
    s.first_token = now;
    load_->prompt_tokens -= call.prompt;
    run_->recorder->on_first_token(now, run_->asked(id));
    tell(CallEvent::kFirstToken, id, now, run_->calls.progress(id).lane);
  } else {
    const Duration gap = now - run_->calls.last_token(id);
    run_->recorder->itl(now, gap, 1);
    run_->recorder->on_stall(Stall::kPreempted, gap);
  }
  run_->calls.set_last_token(id, now);
}

/// Into the decode group; its last token was at `last`.
void Station::join(Lane& lane, CallId id, Time last) {
  if (lane.group.empty()) {
    lane.last_emit = last;
    lane.cohorts.clear();
  } else if (last != lane.last_emit) {
    if (!lane.cohorts.empty() && lane.cohorts.back().last == last) ++lane.cohorts.back().count;
    else lane.cohorts.push_back({last, 1});
  }
  run_->calls.set_last_token(id, last);
  if (run_->charges) [[unlikely]] run_->charges->joins(id, id_, lane.index);
  lane.group.join(id, run_->calls);
  const Progress& p = run_->calls.progress(id);
  if (parts_.kv.contiguous && p.reserved <= p.computed) add_full(lane, id);   // a run cannot grow where it lies
}

/// By number, whatever order they became full in.
void Station::add_full(Lane& lane, CallId id) {
  const CallTable& calls = run_->calls;
  lane.full.push_back(id);
  for (std::size_t i = lane.full.size() - 1; i > 0; --i) {
    if (calls.call(lane.full[i - 1]).number < calls.call(lane.full[i]).number) return;
    std::swap(lane.full[i - 1], lane.full[i]);
  }
}

/// What a call that was thrown out with `context` tokens reserves when it comes back: more if it had used up what it
/// had, else as much. 0: as the policy says anew, and then block by block.
Tokens32 Station::regrown(CallId id, Tokens context) const {
  const Tokens reserved{run_->calls.progress(id).reserved};
  const Tokens regrow = parts_.kv_policy->regrow(run_->calls.call(id), reserved);
  const Tokens more = std::min(regrow, ledger_.state().largest_lease());
  if (context >= reserved) return narrow<Tokens32>(more);
  return narrow<Tokens32>(parts_.kv.contiguous || more > Tokens{} ? reserved : Tokens{});
}

/// Before a member leaves: notes when its last token was.
void Station::leave_cohort(Lane& lane, CallId id) {
  if (run_->calls.progress(id).ran(lane.group.clock()) == 0) {  // has not decoded since it joined
    for (Cohort& c : lane.cohorts) {
      if (c.last != run_->calls.last_token(id)) continue;
      if (--c.count == 0) lane.cohorts.erase_if([](const Cohort& x) { return x.count == 0; });
      return;
    }
  }
  run_->calls.set_last_token(id, lane.last_emit);
}

/// All tokens are out.
void Station::complete(Lane& lane, CallId id, Time now) {
  Progress& p = run_->calls.progress(id);
  if (parts_.batcher->returns_whole_batch()) {
    p.stage = Stage::kHeld;
    lane.held.push_back(id);
    return;
  }
  --running_;
  ledger_.release(id, p.computed);
  finish(id, p.computed, p.emitted, Status::kDone, now);
}

void Station::release_held(Lane& lane, Time now) {
  CallTable& calls = run_->calls;
  std::sort(lane.held.begin(), lane.held.end(),
            [&](CallId a, CallId b) { return calls.call(a).number < calls.call(b).number; });
  for (CallId id : lane.held) {
    const Progress& p = calls.progress(id);
    --running_;
    ledger_.release(id, p.computed);
    finish(id, p.computed, p.emitted, Status::kDone, now);
  }
  lane.held.clear();
}

/// Iterations of a run under way that have begun before `now`; at least 1. In an instant that the loop has come back
/// to, a boundary at it has passed: stepping would have begun the next iteration by now.
std::int64_t Station::begun(const Lane& lane, Time now) const {
  const std::int64_t gone = to_ps(now - lane.start) + run_->came_back;
  const std::int64_t first = to_ps(lane.run.first), step = to_ps(lane.run.step);
  std::int64_t j = 1;
  if (step == 0) {
    j = first > 0 ? ceil_div(gone, first) : 1;
  } else {  // smallest j with j * first + step * j (j - 1) / 2 >= gone: the root, then exact
    const double a = 0.5 * static_cast<double>(step), b = static_cast<double>(first) - a;
    j = static_cast<std::int64_t>((std::sqrt(b * b + 4 * a * static_cast<double>(gone)) - b) / (2 * a));
    while (to_ps(lane.run.total(j)) < gone) ++j;
    while (j > 1 && to_ps(lane.run.total(j - 1)) >= gone) --j;
  }
  return std::clamp<std::int64_t>(j, 1, lane.k);
}

/// Something has come while iterations run at once: the run ends at the first boundary that is not before `now`; if
/// that is now, at once, as if it had ended on its own before.
void Station::cut(Lane& lane, Time now) {
  const std::int64_t j = begun(lane, now);
  if (events_) tell_steps(lane, j - 1);
  if (j == lane.k) return;
  lane.k = j;
  lane.at = lane.start + lane.run.total(j);
  if (lane.at == now) end_steps(now);
}

/// Something comes or goes: iterations that run at once end with the one under way, and the next step needs a plan.
void Station::disturb(Time now) {
  same_again_ = false;
  if (Lane& lane = lanes_.front(); lane.state == State::kRunning && lane.k > 1) cut(lane, now);
}

/// Policies hear of iterations that have ended before they hear of what comes now.
void Station::tell_steps(Lane& lane, std::int64_t ended) {
  const std::int64_t more = ended - lane.told;
  if (more <= 0 || !lane.plan.decodes()) return;
  lane.told = ended;
  const GroupView group = lane.group.view(ended);
  if (batcher_events_) parts_.batcher->on_steps(more, group);
  if (order_events_) parts_.order->on_steps(more, group);
}

/// A router looks at the prefix cache: the blocks of iterations that have begun are taken first, for they may evict.
PrefixMatch Station::match(CallId id) const {
  catch_up(lanes_.front());
  return ledger_.match(id);
}

/// The ledger as stepping would have it now: blocks of the iterations of a run that have begun are taken.
void Station::catch_up(Lane& lane) const {
  if (lane.state != State::kRunning || lane.k == 1) return;
  const DecodeGroup& group = lane.group;
  const Blocks more = group.need_total(begun(lane, run_->now)) - group.needed() - lane.taken;
  ledger_.take(more);
  lane.taken += more;
}

void Station::cancel(CallId id, Status why, Time now) {
  disturb(now);
  const Progress& p = run_->calls.progress(id);
  if (p.lane >= 0) {
    Lane& lane = lanes_[static_cast<std::size_t>(p.lane)];
    const auto swaps = [&](const SwapOut& w) { return w.call == id; };
    const bool inside = p.stage == Stage::kPrefill || p.stage == Stage::kDecode ||
                        std::any_of(lane.swapping.begin(), lane.swapping.end(), swaps);
    if (inside && lane.state == State::kRunning) {
      lane.given_up.push_back({id, why});
      return;
    }
  }
  const Lane& lane = lanes_[static_cast<std::size_t>(std::max<std::int16_t>(p.lane, 0))];
  drop(id, why, now, lane.state == State::kRunning && lane.plan.decodes() ? lane.k - 1 : 0);
}

/// Gives up a call wherever it stands; what was computed for it is wasted. `ahead`: iterations that the lane has done.
void Station::drop(CallId id, Status why, Time now, std::int64_t ahead) {
  const Progress& p = run_->calls.progress(id);
  Lane& lane = lanes_[static_cast<std::size_t>(std::max<std::int16_t>(p.lane, 0))];
  if (p.stage == Stage::kHeld) return;  // its answer is complete
  decide(lane, Decision::kCancel, id, Tokens{}, now, ahead);
  if (p.stage == Stage::kWaiting) {
    waiting_.remove(id);
    --load_->waiting;
    run_->recorder->on_waiting(now, -1);
  } else if (p.stage == Stage::kSwapped) {
    swapped_.remove(id);
    ledger_.drop_swapped(id, Tokens{p.computed});
  } else if (p.stage == Stage::kMoving) {
    leave_landed(id);
  } else {
    take_out(lane, id);
    ledger_.release(id, p.computed);
  }
  const Tokens cached = run_->calls.cached(id);
  run_->recorder->on_departure(Leave::kFail, p.computed - cached);
  finish(id, cached, p.emitted, why, now);
}

void Station::finish(CallId id, Tokens context, Tokens emitted, Status status, Time now) {
  const Call& call = run_->calls.call(id);
  const CallSecret& s = run_->calls.secret(id);
  const Progress& p = run_->calls.progress(id);
  const CallHits hits = run_->calls.hits(id);
  --load_->calls;
  load_->tokens -= call.prompt + call.predicted_high;
  if (s.first_token == kNever) load_->prompt_tokens -= call.prompt;
  if (p.stage != Stage::kMoving) tell(CallEvent::kFinished, id, now, p.lane);   // else it has not joined yet
  Row row{.number = call.number, .arrival = run_->asked(id), .first_schedule = s.first_schedule,
          .first_token = s.first_token, .finish = now, .prompt = call.prompt, .output = narrow<Tokens32>(emitted),
          .cached = hits.first, .computed = narrow<Tokens32>(context - hits.last), .station = s.first_station,
          .retried = call.arrival - run_->asked(id), .set_back = run_->set_back(id), .session = call.session,
          .tenant = call.tenant, .request_class = call.request_class, .model = call.model,
          .preemptions = p.preemptions, .retries = run_->retries(id), .status = status};
  if (run_->mover) run_->mover->complete(row, id);
  run_->leaver->left(id, row, now);
}

/// Gaps between tokens of this run: the first one since each member's last token, then one an iteration.
inline void Station::record_gaps(Lane& lane) {
  Recorder& recorder = *run_->recorder;
  const Time first = lane.k > 1 ? lane.start + lane.run.first : lane.at;  // lane.at: the end, pipelines included
  const TokenRun tokens{first, lane.run.first + lane.run.step, lane.run.step, lane.k};
  if (run_->watched) [[unlikely]]
    for (Observer* o : run_->observers) o->on_tokens(lane.group.members(), run_->calls.rows(), tokens);
  std::int32_t base = lane.group.size();
  for (const Cohort& c : lane.cohorts) {
    recorder.itl(first, first - c.last, c.count);
    base -= c.count;
  }
  lane.cohorts.clear();
  if (base > 0) recorder.itl(first, first - lane.last_emit, base);
  if (lane.k > 1)
    recorder.itl_run(first, lane.run.first + lane.run.step, lane.run.step, lane.k - 1, lane.group.size());
}

/// Sorts out who is due: the last token (lane.done, by number), or a reservation that is used up.
void Station::take_due(Lane& lane) {
  const CallTable& calls = run_->calls;
  auto by_number = [&](CallId a, CallId b) { return calls.call(a).number < calls.call(b).number; };
  lane.done.clear();
  DecodeGroup::Due due;
  while (lane.group.pop_due(calls, due)) {
    const Tokens reserved{calls.progress(due.call).reserved};
    if (due.done) lane.done.push_back(due.call);
    else if (parts_.kv_policy->regrow(calls.call(due.call), reserved) == Tokens{})
      lane.group.release_reservation(due.call, run_->calls);
    else if (std::find(lane.full.begin(), lane.full.end(), due.call) == lane.full.end()) add_full(lane, due.call);
  }
  if (lane.done.size() > 1) {
    std::sort(lane.done.begin(), lane.done.end(), by_number);
    lane.done.truncate(static_cast<std::size_t>(std::unique(lane.done.begin(), lane.done.end()) - lane.done.begin()));
  }
}

[[gnu::always_inline]] inline void Station::advance_group(Lane& lane, Time now) {
  DecodeGroup& group = lane.group;
  record_gaps(lane);
  if (lane.k > 1 || lane.taken > Blocks{}) ledger_.take(group.need_total(lane.k) - group.needed() - lane.taken);
  lane.taken = Blocks{};
  ledger_.fill(Tokens{lane.k * group.size()}, Tokens{lane.k * group.roomy()});
  group.advance(lane.k);
  lane.last_emit = now;
  if (events_) [[unlikely]] {
    if (const std::int64_t untold = lane.k - std::exchange(lane.told, 0); untold > 0) {
      if (batcher_events_) parts_.batcher->on_steps(untold, group.view());
      if (order_events_) parts_.order->on_steps(untold, group.view());
    }
  }
  if (!group.anyone_due()) return;
  same_again_ = false;
  take_due(lane);
  for (CallId id : lane.done) {
    if (run_->charges) [[unlikely]] run_->charges->leaves(id, id_, lane.index);
    group.leave(id, run_->calls);
    complete(lane, id, now);
  }
}

[[gnu::always_inline]] inline void Station::end_chunks(Lane& lane, Time now) {
  CallTable& calls = run_->calls;
  for (const auto& c : lane.plan.chunks()) {
    Progress& p = calls.progress(c.call);
    const Call& call = calls.call(c.call);
    const Tokens upto = p.computed + c.q;
    const bool ends = upto == Tokens{call.prompt} + p.emitted;
    ledger_.computed(c.call, c.q, upto, ends);
    p.computed = narrow<Tokens32>(upto);
    if (!ends) continue;
    same_again_ = false;
    lane.prefilling.erase(c.call);
    ++p.emitted;
    first_token_or_gap(c.call, now);
    if (Tokens{p.emitted} == Tokens{calls.secret(c.call).output}) complete(lane, c.call, now);
    else if (run_->mover && goes_elsewhere(lane, c.call, now)) hand_over(c.call, upto, now);
    else join(lane, c.call, now);
  }
}

void Station::charge(const Lane& lane) const {
  const std::int64_t outputs = (lane.shape.outputs - lane.plan.padding().decodes.value()) * lane.k;
  const auto chunks = lane.plan.chunks().view();
  if (lanes_.size() > 1)
    run_->charges->on_step(id_, lane.index, lane.stages, lane.plan.decodes(), chunks, outputs);
  else
    run_->charges->on_step(id_, lane.index, lane.start, lane.k, lane.run, lane.plan.decodes(), chunks, outputs);
}

inline void Station::end_step(Lane& lane, Time now) {
  iterations_ += lane.k;
  lane.steps_since_admission += lane.k;
  if (!lane.plan.padded()) run_->recorder->on_step(id_, lane.index, lane.start, now, lane.k, lane.shape, lane.run);
  else run_->recorder->on_step(id_, lane.index, lane.start, now, lane.k, lane.shape, padding_of(lane), lane.run);
  if (run_->watched) [[unlikely]] tell_watchers(lane);
  if (lane.k > 1) {
    const Tokens n{lane.group.size()};
    run_->recorder->on_kv_run(id_, lane.start, lane.k, lane.run, n, Tokens{lane.group.roomy()},
                              [&](std::int64_t i) { return lane.group.need(i).value(); });
  }
  if (lane.swaps()) [[unlikely]] end_swaps(lane);
  if (lane.plan.decodes()) advance_group(lane, now);
  if (!lane.plan.chunks().empty()) end_chunks(lane, now);
  if (lane.anything_odd()) [[unlikely]] end_oddly(lane, now);
}

BatchPlan::Padding Station::padding_of(const Lane& lane) const {
  BatchPlan::Padding padding = lane.plan.padding();
  if (!lane.plan.decodes()) padding.decodes = padding.decode_context = Tokens{};
  return padding;
}

void Station::tell_watchers(const Lane& lane) const {
  if (run_->steps) run_->steps->on_step(id_, lane.run, lane.k);
  if (run_->charges) charge(lane);
}

void Station::end_oddly(Lane& lane, Time now) {
  same_again_ = false;
  if (!lane.given_up.empty()) drop_given_up(lane, now);
  if (!lane.detaching.empty()) depart_detached(lane, now);
  if (!lane.held.empty() && lane.group.empty() && lane.prefilling.empty()) release_held(lane, now);
}

/// The iterations of a step that have ended count; the rest is lost (station_move.cpp).
void Station::end_early(Lane& lane) { end_step(lane, lane.at); }

void Station::end_steps(Time now) {
  for (Lane& lane : lanes_) {
    if (lane.state != State::kRunning || lane.at != now) continue;
    end_step(lane, now);
    lane.state = State::kReady;
    lane.at = std::max(now, lanes_.size() > 1 ? stage_free_.front() : now);
  }
}

Time Station::go_on(Time now) {
  if (lanes_.size() > 1) {
    end_steps(now);
  } else {
    Lane& lane = lanes_.front();
    end_step(lane, now);
    lane.state = State::kReady;
  }
  return plan(now);
}

}  // namespace orrery
