/// Calls that come from other stations and go to them, and stations that end. KV that is booked or let go while a step
/// runs counts in the reported use from the step's end.
#include <algorithm>

#include "sim/engine/station.hpp"

namespace orrery {

void Station::count_in(CallId id) {
  const Call& call = run_->calls.call(id);
  ++load_->calls;
  load_->tokens += call.prompt + call.predicted_high;
}

void Station::count_out(CallId id) {
  const Call& call = run_->calls.call(id);
  --load_->calls;
  load_->tokens -= call.prompt + call.predicted_high;
}

void Station::strand(CallId id, Time now) {
  ++load_->waiting;
  if (run_->calls.secret(id).first_token == kNever) load_->prompt_tokens += run_->calls.call(id).prompt;
  count_in(id);
  run_->recorder->on_waiting(now, 1);
}

void Station::unstrand(CallId id, Time now) {
  --load_->waiting;
  if (run_->calls.secret(id).first_token == kNever) load_->prompt_tokens -= run_->calls.call(id).prompt;
  count_out(id);
  run_->recorder->on_waiting(now, -1);
}

void Station::withdraw(CallId id, Time now) {
  disturb(now);
  const Lane& lane = lanes_.front();
  const std::int64_t ahead = lane.state == State::kRunning && lane.plan.decodes() ? lane.k - 1 : 0;
  decide(lane, Decision::kMoveOut, id, Tokens{}, now, ahead);
  waiting_.remove(id);
  --load_->waiting;
  run_->recorder->on_waiting(now, -1);
  if (run_->calls.secret(id).first_token == kNever) load_->prompt_tokens -= run_->calls.call(id).prompt;
  count_out(id);
  tell(CallEvent::kMovedOut, id, now, 0);
}

void Station::detach(CallId id, Time now) {
  const Progress& p = run_->calls.progress(id);
  if (p.stage != Stage::kDecode) return;
  disturb(now);
  if (!run_->calls.alive(id)) return;      // the boundary was now, and it was its last
  Lane& lane = lanes_[static_cast<std::size_t>(p.lane)];
  if (std::find(lane.detaching.begin(), lane.detaching.end(), id) == lane.detaching.end()) lane.detaching.push_back(id);
  if (lane.state != State::kRunning) depart_detached(lane, now);
}

/// Those that still decode leave with their KV; others have ended or were preempted meanwhile.
void Station::depart_detached(Lane& lane, Time now) {
  const SmallVec<CallId> leaving = lane.detaching;
  lane.detaching.clear();
  for (const CallId id : leaving) {
    const Progress& p = run_->calls.progress(id);
    if (!run_->calls.alive(id) || !run_->mover->wants(id)) continue;
    if (p.stage != Stage::kDecode || p.lane != lane.index) {
      run_->mover->stayed(id);
      continue;
    }
    const Tokens context = this->context(id);
    take_out(lane, id);
    hand_over(id, context, now);
    run_->mover->detached(id, id_, now);
  }
}

/// A call is in no batch any more; its KV is kept for the copy. (take_out has counted it out of running_; a call whose
/// prompt has just ended has not been.)
void Station::hand_over(CallId id, Tokens context, Time now) {
  Progress& p = run_->calls.progress(id);
  if (p.stage == Stage::kPrefill) --running_;
  Lane& lane = lanes_[static_cast<std::size_t>(p.lane)];
  decide(lane, Decision::kMoveOut, id, context, now);
  p.stage = Stage::kMoving;
  p.lane = -1;
  ledger_.freeze(id, context);
  count_out(id);
  tell(CallEvent::kMovedOut, id, now, lane.index);
}

void Station::let_go(CallId id, Tokens context, Time now) {
  disturb(now);
  ledger_.let_go(id, context);
}

void Station::readopt(CallId id, Time now) {
  disturb(now);
  run_->calls.progress(id).reserved = run_->calls.progress(id).computed;
  lanes_.front().landed.push_back(id);
  ++running_;
  count_in(id);
}

bool Station::book(Tokens from, Tokens to, Time now) {
  catch_up(lanes_.front());
  if (!ledger_.can_book(from, to)) return false;
  disturb(now);
  ledger_.book(from, to);
  if (from == Tokens{}) ++running_;
  return true;
}

void Station::unbook(Tokens booked, Time now) {
  disturb(now);
  ledger_.unbook(booked);
  --running_;
}

Tokens Station::booking(CallId id, Tokens context) const {
  return std::max(context, std::min(parts_.kv_policy->reserve(run_->calls.call(id), context, context),
                                    ledger_.state().largest_lease()));
}

void Station::land(CallId id, Tokens context, Tokens booked, Time now) {
  disturb(now);
  ledger_.land(id, context, booked);
  Lane& lane = *std::min_element(lanes_.begin(), lanes_.end(), [](const Lane& a, const Lane& b) {
    return a.group.size() + static_cast<std::int64_t>(a.landed.size()) <
           b.group.size() + static_cast<std::int64_t>(b.landed.size());
  });
  lane.landed.push_back(id);
  count_in(id);
}

void Station::join_landed(Lane& lane, Time now) {
  for (const CallId id : lane.landed) {
    run_->calls.progress(id).lane = static_cast<std::int16_t>(lane.index);
    join(lane, id, run_->calls.last_token(id));
    decide(lane, Decision::kMoveIn, id, run_->calls.progress(id).computed, now);
    tell(CallEvent::kMovedIn, id, now, lane.index);
  }
  lane.landed.clear();
}

/// A call that has landed and not joined yet leaves.
void Station::leave_landed(CallId id) {
  for (Lane& lane : lanes_) lane.landed.erase(id);
  --running_;
  ledger_.release(id, run_->calls.progress(id).computed);
}

bool Station::idle() const {
  return running_ == 0 && !busy_for_others_ && waiting() == 0 &&
         std::none_of(lanes_.begin(), lanes_.end(), [](const Lane& l) { return l.state == State::kRunning; });
}

Duration Station::compute_for(Tokens context, Tokens tokens, Time now) {
  busy_for_others_ = true;
  same_again_ = false;
  for (Lane& lane : lanes_) lane.state = State::kIdle;   // one that has just ended a step will not plan the next
  if (tokens == Tokens{}) return Duration{};
  other_chunk_ = {context, tokens};
  const std::int64_t q = tokens.value();
  other_shape_ = {};
  other_shape_.prefill = tokens;
  other_shape_.prefill_pairs = q * context.value() + q * q / 2;
  other_shape_.sequences = 1;
  other_shape_.chunks = {&other_chunk_, 1};
  other_run_ = parts_.cost->price({&other_shape_, 1}, 0);
  run_->recorder->on_begin(id_, 0, now);
  Duration time = other_run_.first;
  for (std::size_t s = 1; s < stage_free_.size(); ++s)
    time += parts_.cost->hop(tokens) + parts_.cost->price({&other_shape_, 1}, static_cast<int>(s)).first;
  return time;
}

/// Its tokens were computed at the source before: they count as recomputed.
void Station::computed_for(CallId id, Tokens tokens, Time began, bool done, Time now) {
  if (tokens == Tokens{}) return;
  if (!done) {
    const std::int64_t lost = run_->recorder->on_abort(id_, 0, began, now, other_run_);
    if (run_->charges) run_->charges->on_lost(lost);
    return;
  }
  std::vector<StageTime> stages{{began, began + other_run_.first, other_run_.e_first.value()}};
  for (std::size_t s = 1; s < stage_free_.size(); ++s) {
    const StepRun run = parts_.cost->price({&other_shape_, 1}, static_cast<int>(s));
    run_->recorder->on_stage(id_, static_cast<int>(s), began, now, 1, other_shape_, run);
    stages.push_back({began, began + run.first, run.e_first.value()});
  }
  run_->recorder->on_step(id_, 0, began, now, 1, other_shape_, {}, other_run_);
  if (run_->charges) run_->charges->on_step_for(id, id_, tokens, stages);
  run_->recorder->on_recomputed(tokens);
}

void Station::resume(Time now) {
  busy_for_others_ = false;
  for (Time& t : stage_free_) t = std::max(t, now);
}

void Station::set_cost(Executor* executor, const CostModel* cost, Time now) {
  disturb(now);
  parts_.executor = executor;
  model_ = executor->only_prices();
  parts_.cost = cost;
}

void Station::pause_at_boundary(Time now) {
  disturb(now);
}

void Station::slow_down(std::int64_t per_mille, Time now) {
  if (!usual_) usual_ = parts_.cost;
  slow_per_mille_ = per_mille;
  slow_ = std::make_unique<ScaledCost>(*usual_, per_mille);
  slow_executor_ = std::make_unique<ModelExecutor>(*slow_);
  set_cost(slow_executor_.get(), slow_.get(), now);
}

void Station::set_clock(Executor* executor, const CostModel* cost, Time now) {
  if (!usual_) return set_cost(executor, cost, now);
  usual_ = cost;
  slow_down(slow_per_mille_, now);
}

/// Spread evenly over each iteration and stage, rounded down.
Station::Spent Station::under_way(Time now) const {
  Spent sum;
  const auto share = [&](Wide energy, Time begin, Time end) {   // until now
    const std::int64_t whole = to_ps(end - begin), done = std::clamp<std::int64_t>(to_ps(now - begin), 0, whole);
    return whole > 0 ? energy * done / whole : now >= begin ? energy : 0;
  };
  for (const Lane& lane : lanes_) {
    if (lane.state != State::kRunning) continue;
    for (const StageTime& s : lane.stages) {   // the recorder knows of all but the first already
      const bool first = &s == &lane.stages.front();
      const Time until = std::clamp(now, s.begin, s.end);
      sum.energy += share(s.energy, s.begin, s.end) - (first ? 0 : s.energy);
      sum.busy += first ? to_ps(until - s.begin) : to_ps(until - s.end);
    }
    if (lanes_.size() > 1) continue;
    const std::int64_t j = std::min(ended(lane), lane.k - 1);
    const Time begin = lane.start + lane.run.total(j);
    const Wide first = lane.run.e_first.value(), more = lane.run.e_step.value();
    sum.energy += first * j + more * (j * (j - 1) / 2) + share(first + more * j, begin, begin + lane.run.at(j));
    sum.busy += to_ps(std::min(now, lane.at) - lane.start);
  }
  return sum;
}

std::int64_t Station::told_ahead() const {
  std::int64_t sum = 0;
  for (const Lane& lane : lanes_) {
    if (lane.state != State::kRunning) continue;
    for (std::size_t s = 1; s < lane.stages.size(); ++s) sum += lane.stages[s].energy;
  }
  return sum;
}

/// Iterations of a run under way that have ended by now.
std::int64_t Station::ended(const Lane& lane) const {
  if (lane.state != State::kRunning || !lane.plan.decodes()) return 0;
  const std::int64_t j = begun(lane, run_->now);
  return lane.start + lane.run.total(j) == run_->now && lanes_.size() == 1 ? j : j - 1;
}

Tokens Station::context_now(CallId id) const {
  const Progress& p = run_->calls.progress(id);
  const bool decodes = p.stage == Stage::kDecode;
  return context(id) + (decodes ? Tokens{ended(lanes_[static_cast<std::size_t>(p.lane)])} : Tokens{});
}

Tokens Station::emitted_now(CallId id) const {
  const Progress& p = run_->calls.progress(id);
  const bool decodes = p.stage == Stage::kDecode;
  return emitted(id) + (decodes ? Tokens{ended(lanes_[static_cast<std::size_t>(p.lane)])} : Tokens{});
}

KvState Station::kv_now() const {
  catch_up(lanes_.front());
  return ledger_.state();
}

void Station::decoding(std::vector<CallId>& out) const {
  const CallTable& calls = run_->calls;
  out.clear();
  for (const Lane& lane : lanes_) {
    const auto members = lane.group.members();
    out.insert(out.end(), members.begin(), members.end());
  }
  std::sort(out.begin(), out.end(), [&](CallId a, CallId b) { return calls.call(a).number < calls.call(b).number; });
}

void Station::kill(Time now, std::vector<CallId>& lost) {
  same_again_ = false;
  const std::size_t before = lost.size();
  for (Lane& lane : lanes_) kill_lane(lane, now, lost);
  for (const CallId id : waiting_.view()) lost.push_back(id);
  for (const CallId id : swapped_.view()) lost.push_back(id);
  const CallTable& calls = run_->calls;
  const auto first = lost.begin() + static_cast<std::ptrdiff_t>(before);
  std::sort(first, lost.end(), [&](CallId a, CallId b) { return calls.call(a).number < calls.call(b).number; });
  for (auto it = first; it != lost.end(); ++it) lose(*it, now);
  for (Lane& lane : lanes_) lane.held.clear();
  for (Time& t : stage_free_) t = now;
  report_kv(now);
}

/// Iterations that have ended count, the one under way is lost. Calls that were to leave at its end leave now: those
/// whose clients gave up are told of, those that were to move are lost like the rest.
void Station::kill_lane(Lane& lane, Time now, std::vector<CallId>& lost) {
  const SmallVec<GivenUp> given_up = lane.given_up;
  lane.given_up.clear();
  lane.detaching.clear();
  if (lane.state == State::kRunning) {
    const std::int64_t j = begun(lane, now);
    const std::int64_t ended = lane.start + lane.run.total(j) == now ? j : j - 1;
    Time began = lane.start;
    StepRun lost_step = lane.run;
    if (lanes_.size() == 1 && ended > 0) {
      lane.k = ended;
      lane.at = began = lane.start + lane.run.total(ended);
      lost_step.first = lane.run.at(ended);
      lost_step.e_first += lane.run.e_step * ended;
      end_early(lane);
    } else {
      end_swaps(lane);   // KV on its way to the host is lost with the rest
      if (lane.plan.decodes()) ledger_.take(-lane.group.need(0) - lane.taken);
    }
    const std::int64_t energy = run_->recorder->on_abort(id_, lane.index, began, now, lost_step);
    if (run_->charges) run_->charges->on_lost(energy);
    for (std::size_t s = 1; run_->charges && s < lane.stages.size(); ++s) run_->charges->on_lost(lane.stages[s].energy);
  }
  lane.state = State::kIdle;
  lane.taken = Blocks{};
  lane.told = 0;
  for (const GivenUp& g : given_up)
    if (run_->calls.alive(g.call)) drop(g.call, g.why, now);   // not, if an iteration that has ended was its last
  const auto members = lane.group.members();
  for (const auto& list : {members, lane.prefilling.view(), lane.held.view(), lane.landed.view()})
    lost.insert(lost.end(), list.begin(), list.end());
}

/// Takes a call out of wherever it stands, without its KV. What had been computed stays in its progress, to be told of.
void Station::lose(CallId id, Time now) {
  Progress& p = run_->calls.progress(id);
  Lane& lane = lanes_[static_cast<std::size_t>(std::max<std::int16_t>(p.lane, 0))];
  decide(lane, Decision::kLose, id, context(id), now);
  const bool landed = p.stage == Stage::kMoving;   // not joined yet: the policies have not heard of it
  switch (p.stage) {
    case Stage::kWaiting:
      waiting_.remove(id);
      --load_->waiting;
      run_->recorder->on_waiting(now, -1);
      break;
    case Stage::kSwapped:
      swapped_.remove(id);
      ledger_.drop_swapped(id, Tokens{p.computed});
      break;
    case Stage::kMoving: leave_landed(id); break;
    case Stage::kHeld:
      --running_;
      ledger_.release(id, p.computed);
      break;
    default:
      take_out(lane, id);
      ledger_.release(id, p.computed);
  }
  if (run_->calls.secret(id).first_token == kNever) load_->prompt_tokens -= run_->calls.call(id).prompt;
  count_out(id);
  p.reserved = Tokens32{};
  p.lane = -1;
  p.stage = Stage::kWaiting;
  if (p.preemptions < 255) ++p.preemptions;
  if (!landed) tell(CallEvent::kMovedOut, id, now, lane.index);
}

}  // namespace orrery
