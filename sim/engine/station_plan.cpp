/// How a lane of a station starts its next step: view, plan, carrying it out, price, number of iterations at once.
#include <algorithm>
#include <new>
#include <string>

#include "sim/engine/station.hpp"

namespace orrery {
namespace {

constexpr int kReplans = 1 << 20;   ///< at one instant, before a policy is taken to run in circles

Decision decision_of(Leave how) {
  constexpr Decision kinds[] = {Decision::kRecompute, Decision::kSwap, Decision::kRestart, Decision::kFail};
  return kinds[static_cast<int>(how)];
}

}  // namespace

/// What never changes in a lane's view.
void Station::prepare_view(Lane& lane) {
  StationView& v = lane.view;
  v.station = id_;
  v.lane = lane.index;
  v.lanes = static_cast<int>(lanes_.size());
  v.kv = ledger_.state();
  v.kv_policy = parts_.kv_policy;
  v.order = parts_.order;
  v.prefix = parts_.kv.prefix == PrefixKind::kNone ? nullptr : &ledger_;
}

inline void Station::fill_view(Lane& lane, Time now) {
  StationView& v = lane.view;
  v.now = now;
  v.rows = run_->calls.rows();
  if (parts_.order) v.keys = run_->calls.keys();
  v.waiting = waiting_.view();
  v.prefilling = lane.prefilling.view();
  v.swapped = swapped_.view();
  v.full = lane.full.view();
  v.held = lane.held.view();
  v.group = lane.group.view();
  v.running = running_;
  v.steps_since_admission = lane.steps_since_admission;
  ledger_.refresh(v.kv);
}

void Station::refresh_keys(Lane& lane, Time now) {
  fill_view(lane, now);
  const std::span<const CallId> waiting = waiting_.view();
  ranks_.resize(waiting.size());
  parts_.order->rank(lane.view, ranks_);
  for (std::size_t i = 0; i < waiting.size(); ++i) run_->calls.set_key(waiting[i], ranks_[i]);
  waiting_.resort(run_->calls);
}

/// Takes what the plan says, in the order that it was booked in, and sums what the price of the step depends on.
[[gnu::always_inline]] inline void Station::carry_out(Lane& lane, Time now) {
  if (lane.plan.moves()) make_changes(lane, now);
  take_chunks(lane, now);
  take_decodes(lane);
  lane.shape.host_in = lane.shape.host_out = Bytes{};
  if (lane.swaps()) [[unlikely]] price_swaps(lane);
  if (ledger_.copies_prefixes()) [[unlikely]] count_copies(lane.shape);
}

void Station::make_changes(Lane& lane, Time now) {
  const BatchPlan& plan = lane.plan;
  for (const auto& d : plan.leave()) depart(lane, d, now);
  if (!plan.admitted().empty()) ledger_.adopt(plan.admitted());
  for (CallId id : plan.resumed()) resume(lane, id, now);
  for (const auto& a : plan.admitted()) admit(lane, a, now);
}

void Station::price_swaps(Lane& lane) {
  StepShape& shape = lane.shape;
  shape.host_in = parts_.kv_bytes_per_token * lane.host_returning.value();
  for (const SwapOut& w : lane.swapping) shape.host_out += parts_.kv_bytes_per_token * w.context.value();
}

/// Prefixes that came back from host memory for this plan, and those that were evicted to it.
void Station::count_copies(StepShape& shape) {
  const KvLedger::Copies copies = ledger_.take_copies();
  const std::int64_t block = parts_.kv.block_tokens.value();
  shape.host_in += parts_.kv_bytes_per_token * (copies.in.value() * block);
  shape.host_out += parts_.kv_bytes_per_token * (copies.out.value() * block);
}

inline void Station::take_chunks(Lane& lane, Time now) {
  const auto& pad = lane.plan.padding();
  Tokens prefill = pad.prefill;
  std::int64_t pairs = pad.pairs;
  std::int32_t prompts = 0;
  lane.chunks.clear();
  for (const auto& c : lane.plan.chunks()) {
    const Progress& p = run_->calls.progress(c.call);
    const Tokens done{p.computed}, upto = done + c.q;
    ledger_.extend(c.call, upto);
    decide(lane, Decision::kChunk, c.call, c.q, now);
    lane.chunks.push_back({done, c.q});
    prefill += c.q;
    pairs += c.q.value() * done.value() + c.q.value() * c.q.value() / 2;
    prompts += upto == Tokens{run_->calls.call(c.call).prompt} + p.emitted;
  }
  StepShape& shape = lane.shape;
  shape.prefill = prefill;
  shape.prefill_pairs = pairs;
  shape.sequences = static_cast<std::int32_t>(lane.chunks.size());
  shape.outputs = prompts;
  shape.chunks = lane.chunks.view();
}

inline void Station::take_decodes(Lane& lane) {
  Tokens decodes, context, longest;
  if (lane.plan.decodes()) {
    const auto& pad = lane.plan.padding();
    const Tokens n{lane.group.size()};
    ledger_.take(lane.group.needed());
    decodes = n + pad.decodes;
    context = lane.group.context() + n + pad.decode_context;
    longest = lane.group.longest() + 1_tok;
  }
  StepShape& shape = lane.shape;
  shape.decodes = decodes;
  shape.decode_context = shape.decode_context_unique = context;
  shape.max_context = longest;
  shape.sequences += static_cast<std::int32_t>(decodes.value());
  shape.outputs += static_cast<std::int32_t>(decodes.value());
}

void Station::depart(Lane& lane, const BatchPlan::Departure& d, Time now) {
  CallTable& calls = run_->calls;
  Progress& p = calls.progress(d.call);
  const Tokens context = this->context(d.call);
  decide(lane, decision_of(d.how), d.call, context, now);
  take_out(lane, d.call);
  if (d.how == Leave::kSwap) {
    run_->recorder->on_departure(d.how, Tokens{});
    p.stage = Stage::kSwapped;
    lane.swapping.push_back({d.call, context});
    ledger_.swap_out(d.call, context);
  } else {
    const Tokens cached = calls.cached(d.call);
    run_->recorder->on_departure(d.how, context - cached);
    ledger_.release(d.call, context);
    if (d.how == Leave::kFail) return finish(d.call, cached, Tokens{p.emitted}, Status::kFailed, now);
    if (d.how == Leave::kRestart) {
      p.emitted = Tokens32{};
      if (calls.secret(d.call).first_token != kNever) load_->prompt_tokens += calls.call(d.call).prompt;
      calls.secret(d.call).first_token = kNever;
      for (Observer* o : run_->observers) o->on_anew(d.call, d.call);
    }
    p.reserved = regrown(d.call, context);
    p.computed = Tokens32{};
    calls.set_cached(d.call, Tokens32{});
    p.stage = Stage::kWaiting;
    calls.set_key(d.call, key(d.call, nullptr));
    waiting_.insert(d.call, calls);
    ++load_->waiting;
    run_->recorder->on_waiting(now, 1);
  }
  if (p.preemptions < 255) ++p.preemptions;
  tell(CallEvent::kPreempted, d.call, now, lane.index);
}

/// Out of the decode group or the list of prefilling calls; its KV stays.
void Station::take_out(Lane& lane, CallId id) {
  if (run_->calls.progress(id).stage == Stage::kDecode) {
    leave_cohort(lane, id);
    if (run_->charges) run_->charges->leaves(id, id_, lane.index);
    lane.group.leave_early(id, run_->calls);
    lane.full.erase(id);
  } else {
    lane.prefilling.erase(id);
  }
  --running_;
}

void Station::resume(Lane& lane, CallId id, Time now) {
  Progress& p = run_->calls.progress(id);
  swapped_.remove(id);
  ledger_.swap_in(id, p.computed);
  lane.host_returning += p.computed;
  p.lane = static_cast<std::int16_t>(lane.index);
  ++running_;
  run_->recorder->on_stall(Stall::kPreempted, now - run_->calls.last_token(id));
  join(lane, id, run_->calls.last_token(id));
  decide(lane, Decision::kResume, id, p.computed, now);
  tell(CallEvent::kResumed, id, now, lane.index);
}

void Station::admit(Lane& lane, const BatchPlan::Admission& a, Time now) {
  Progress& p = run_->calls.progress(a.call);
  CallSecret& s = run_->calls.secret(a.call);
  waiting_.remove(a.call);
  ledger_.admit(a);
  p.stage = Stage::kPrefill;
  p.lane = static_cast<std::int16_t>(lane.index);
  if (s.first_schedule == kNever) {
    s.first_schedule = now;
    run_->calls.set_hits(a.call, {run_->calls.cached(a.call), run_->calls.cached(a.call)});
    s.first_station = id_;
  } else if (s.first_token == kNever) {
    run_->note_set_back(a.call, now - s.first_schedule);
  }
  lane.prefilling.push_back(a.call);
  lane.steps_since_admission = 0;
  ++running_;
  --load_->waiting;
  run_->recorder->on_waiting(now, -1);
  decide(lane, Decision::kAdmit, a.call, a.cached, now);
  tell(CallEvent::kAdmitted, a.call, now, lane.index);
}

[[gnu::always_inline]] inline void Station::run_step(Lane& lane, Time now) {
  if (!lane.plan.decodes() && lane.group.size() > 0) decide(lane, Decision::kPause, {}, Tokens{}, now);
  lane.state = State::kRunning;
  lane.start = now;
  if (model_) [[likely]] ::new (&lane.run) StepRun(model_->price({&lane.shape, 1}, 0));   // in place
  else execute(lane, now);
  run_->recorder->on_begin(id_, lane.index, now);
  if (lanes_.size() > 1) return run_pipeline(lane, now);
  lane.k = lane.plan.changes() ? 1 : iterations_at_once(lane);
  lane.at = now + lane.run.total(lane.k);
  if (lane.k > 1 && run_->verify_fast_forward) verify(lane);
}

void Station::execute(Lane& lane, Time now) {
  if (live_) fill_view(lane, now);   // it looks at the members after the changes
  lane.run = parts_.executor->begin(lane.plan, lane.shape, ledger_.journal(), lane.view);
  if (live_) ledger_.clear_journal();
}

/// end[s] = max(end[s-1] + hop, free[s]) + t[s]: a stage starts when its input is there and the last batch has left it.
void Station::run_pipeline(Lane& lane, Time now) {
  lane.k = 1;
  Time end = std::max(now, stage_free_[0]) + lane.run.first;
  stage_free_[0] = end;
  if (run_->metered) lane.stages.assign(1, {end - lane.run.first, end, lane.run.e_first.value()});
  const Duration hop = parts_.cost->hop(lane.shape.decodes + lane.shape.prefill);
  for (std::size_t s = 1; s < stage_free_.size(); ++s) {
    const StepRun run = parts_.cost->price({&lane.shape, 1}, static_cast<int>(s));
    const Time begin = std::max(end + hop, stage_free_[s]);
    end = stage_free_[s] = begin + run.first;
    run_->recorder->on_stage(id_, static_cast<int>(s), begin, end, 1, lane.shape, run);
    if (run_->metered) lane.stages.push_back({begin, end, run.e_first.value()});
  }
  lane.at = end;
}

std::int64_t Station::iterations_at_once(Lane& lane) const {
  if (lane.swaps() || lane.shape.host_in > Bytes{} || lane.shape.host_out > Bytes{}) return 1;
  if (!run_->fast_forward || lane.plan.repeat.iterations == 1) return 1;
  if (run_->mover && run_->mover->steps(id_)) return 1;
  if (lane.run.first == Duration{}) return 1;   // other stations take turns with iterations that take no time
  if (dynamic_order_ && !waiting_.empty()) return 1;   // cached prefixes may be evicted
  const std::int64_t limit =
      std::min({lane.run.valid, lane.plan.repeat.iterations, lane.group.until_due(run_->calls)});
  // the blocks of the first iteration are taken already
  return std::max<std::int64_t>(lane.group.fit(limit, ledger_.available_without_copy() + lane.group.needed()), 1);
}

/// Asks the policy at every iteration that is skipped: it must say the same again.
void Station::verify(Lane& lane) {
  BatchPlan again;
  for (std::int64_t j = 1; j < lane.k; ++j) {
    fill_view(lane, lane.start + lane.run.total(j));
    lane.view.group = lane.group.view(j);
    lane.view.steps_since_admission += j;
    lane.view.kv.free -= lane.group.need_total(j) - lane.group.need(0);
    again.reset(lane.view, *parts_.batcher);
    parts_.batcher->plan(lane.view, again);
    if (again.changes() || !again.decodes())
      throw EngineError("fast-forward: at iteration " + std::to_string(j) + " of a repeated plan of station " +
                        std::to_string(id_.index) + ", which began at " + std::to_string(to_seconds(lane.start)) +
                        " s, the batcher plans something else");
  }
}

/// Nothing has happened since the plan before, which may hold again if so: does it?
inline bool Station::holds_again(const Lane& lane) const {
  const BatchPlan& plan = lane.plan;
  if (plan.chunks().size() != 1 || (plan.leave().size() | plan.resumed().size() | swapped_.size()) != 0) return false;
  if (plan.repeat.iterations != Repeat::while_unchanged().iterations) return false;
  const BatchPlan::Chunk& c = plan.chunks()[0];
  const Progress& p = run_->calls.progress(c.call);
  const Tokens upto = p.computed + c.q, target = Tokens{run_->calls.call(c.call).prompt} + p.emitted;
  return upto <= Tokens{p.reserved} && upto <= target && lane.group.needed() <= ledger_.available();
}

void Station::verify_again(Lane& lane, Time now) {
  BatchPlan asked;
  fill_view(lane, now);
  asked.reset(lane.view, *parts_.batcher);
  parts_.batcher->plan(lane.view, asked);
  if (asked.moves() || asked.decodes() != lane.plan.decodes() || asked.chunks() != lane.plan.chunks())
    throw EngineError("fast-forward: at " + std::to_string(to_seconds(now)) + " s the batcher of station " +
                      std::to_string(id_.index) + " plans something else than its repeated plan with a chunk");
}

/// Free slots in runs that are too short for the call at the head of the queue.
Blocks Station::unusable() const {
  if (waiting_.empty()) return Blocks{};
  const CallId head = waiting_.view().front();
  const Call& call = run_->calls.call(head);
  const Tokens target = Tokens{call.prompt} + run_->calls.progress(head).emitted;
  const int order = Buddy::order_for(parts_.kv_policy->reserve(call, target, target).value());
  const KvState state = ledger_.state();
  Blocks small;
  for (int i = 0; i < order; ++i) small += Blocks{std::int64_t{(*state.runs)[static_cast<std::size_t>(i)]} << i};
  return small == state.free ? small : Blocks{};
}

inline void Station::tell_kv(Time now) {
  KvUse use = ledger_.use();
  if (parts_.kv.contiguous) use.external = unusable();
  run_->recorder->on_kv(id_, now, use);
}

[[gnu::always_inline]] inline void Station::start(Lane& lane, Time now) {
  for (int round = 0; round < kReplans; ++round) {
    if (dynamic_order_ || (lane.landed.size() | lane.held.size()) != 0) [[unlikely]] start_oddly(lane, now);
    if (same_again_ && holds_again(lane)) {
      lane.plan.next();
      if (run_->verify_fast_forward) verify_again(lane, now);
    } else {
      fill_view(lane, now);
      lane.plan.reset(lane.view, *parts_.batcher);
      parts_.batcher->plan(lane.view, lane.plan);
      same_again_ = lane.plan.repeat.chunk && reuses_plans_;
      if (lane.plan.empty()) {
        lane.state = State::kIdle;
        return;
      }
    }
    carry_out(lane, now);
    const bool copies = lane.shape.host_in > Bytes{} || lane.shape.host_out > Bytes{};
    if (lane.shape.sequences > 0 || lane.swaps() || copies) return run_step(lane, now);
  }
  throw EngineError("station " + std::to_string(id_.index) + " at " + std::to_string(to_seconds(now)) +
                    " s: the batcher makes plan after plan that run nothing");
}

void Station::start_oddly(Lane& lane, Time now) {
  if (!lane.landed.empty()) join_landed(lane, now);
  if (!lane.held.empty() && lane.group.empty() && lane.prefilling.empty()) release_held(lane, now);
  if (dynamic_order_) refresh_keys(lane, now);
}

void Station::report_kv(Time now) { tell_kv(now); }

Time Station::plan(Time now) {
  if (busy_for_others_) return kNever;
  if (lanes_.size() > 1) return plan_lanes(now);
  Lane& lane = lanes_.front();
  if (lane.state != State::kRunning) {
    start(lane, now);
    tell_kv(now);
  }
  return lane.state == State::kIdle ? kNever : lane.at;
}

Time Station::plan_lanes(Time now) {
  for (Lane& lane : lanes_)
    if (lane.state == State::kIdle || (lane.state == State::kReady && lane.at <= now)) {
      if (stage_free_.front() > now) {  // another lane has just taken the first stage
        if (lane.state == State::kReady) lane.at = stage_free_.front();
        else if (!waiting_.empty() || !swapped_.empty() || !lane.landed.empty())
          lane.state = State::kReady, lane.at = stage_free_.front();
        continue;
      }
      start(lane, now);
    }
  tell_kv(now);
  Time next = kNever;
  for (const Lane& lane : lanes_)
    if (lane.state != State::kIdle) next = std::min(next, lane.at);
  return next;
}

}  // namespace orrery
