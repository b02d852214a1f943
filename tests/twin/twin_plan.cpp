// (c) Planning: what a policy asks for becomes a step.
#include <algorithm>

#include "tests/twin/twin_state.hpp"

namespace orrery::twin {

void Twin::plan_lanes(TwinStation& s) {
  for (const Lane& lane : s.lanes) s.changed |= lane.ready && s.stage_free[0] <= now_;
  if (!s.changed || (s.lanes.size() == 1 && s.lanes[0].step)) {   // nobody to ask
    s.changed = false;
    return;
  }
  for (std::size_t l = 0; l < s.lanes.size(); ++l) {
    Lane& lane = s.lanes[l];
    if (lane.step) continue;
    lane.ready = s.stage_free[0] > now_;
    if (lane.ready) continue;
    for (int rounds = 0; plan_once(s, static_cast<int>(l)); ++rounds)
      if (rounds > 100000) twin_error("a lane plans for ever");
  }
  s.changed = false;
  s.unusable = unusable(s);
}

/// True: the plan changed something but there is nothing to run, so ask again.
bool Twin::plan_once(TwinStation& s, int l) {
  Lane& lane = s.lanes[static_cast<std::size_t>(l)];
  release_held(s, lane);
  if (s.order->dynamic()) rank(s, l);
  const StationView v = view(s, l);
  BatchPlan plan;
  plan.reset(v, *s.batcher);
  s.batcher->plan(v, plan);

  Step step;
  StepShape shape;
  const std::int64_t came = s.kv->came(), went = s.kv->went();
  for (const BatchPlan::Departure& d : plan.leave()) leave(s, lane, d, step, shape);
  for (const BatchPlan::Admission& a : plan.admitted()) s.kv->pin_hit(at(a.call).lease, at(a.call).given, a.cached);
  s.kv->settle();
  for (CallId id : plan.resumed()) resume(s, l, id, v, step, shape);
  for (const BatchPlan::Admission& a : plan.admitted()) admit(s, l, a, v);
  std::vector<ChunkShape> chunks;
  for (const BatchPlan::Chunk& chunk : plan.chunks()) {
    chunks.push_back({at(chunk.call).context, chunk.q});
    take_chunk(s, lane, chunk, v, step, shape);
  }
  step.decodes = plan.decodes() && !lane.members.empty();
  if (step.decodes)
    for (CallId id : lane.members)
      if (needs_block(id)) s.kv->take(at(id).lease, 1_blk);
  const Bytes block_bytes = config_.kv_bytes_per_token * block_tokens_.value();
  shape.host_in += block_bytes * (s.kv->came() - came);
  shape.host_out += block_bytes * (s.kv->went() - went);
  result_.sums.host_in += (s.kv->came() - came) * block_tokens_.value();
  result_.sums.host_out += (s.kv->went() - went) * block_tokens_.value();
  const bool works = step.decodes || !step.chunks.empty() || !step.swapped_out.empty() || step.resumed > Tokens{} ||
                     shape.host_in > Bytes{} || shape.host_out > Bytes{};
  if (!works) return plan.changes();
  if (!step.decodes && !lane.members.empty()) note(s, lane, TwinDecision::kPause, {}, {});
  shape.chunks = chunks;
  start(s, lane, step, shape, plan);
  return false;
}

/// The queue by what its order says now.
void Twin::rank(TwinStation& s, int l) {
  const StationView v = view(s, l);
  std::vector<std::int64_t> keys(s.waiting.size());
  s.order->rank(v, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) keys_[s.waiting[i].index] = keys[i];
  std::stable_sort(s.waiting.begin(), s.waiting.end(), [&](CallId a, CallId b) { return v.before(a, b); });
}

/// Back from host memory.
void Twin::resume(TwinStation& s, int l, CallId id, const StationView& v, Step& step, StepShape& shape) {
  Lane& lane = s.lanes[static_cast<std::size_t>(l)];
  TwinCall& c = at(id);
  const Tokens room = std::max(c.context, Tokens{row(id).progress.reserved});
  if (config_.kv->contiguous()) s.kv->take_run(c.lease, std::max(c.context + 1_tok, room));
  else s.kv->take(c.lease, v.kv.blocks_for(room));
  std::erase(s.swapped, id);
  c.lane = l;
  row(id).progress.lane = static_cast<std::int16_t>(l);
  join(lane, id);
  step.resumed += c.context;
  shape.host_in += config_.kv_bytes_per_token * c.context.value();
  note(s, lane, TwinDecision::kResume, id, c.context);
  event(s, CallEvent::kResumed, id);
}

void Twin::admit(TwinStation& s, int l, const BatchPlan::Admission& a, const StationView& v) {
  Lane& lane = s.lanes[static_cast<std::size_t>(l)];
  TwinCall& c = at(a.call);
  Progress& p = row(a.call).progress;
  std::erase(s.waiting, a.call);
  lane.prefilling.push_back(a.call);
  lane.steps_since_admission = 0;
  if (config_.kv->contiguous()) s.kv->take_run(c.lease, a.reserve);
  else s.kv->take(c.lease, v.kv.blocks_for(a.reserve) - Blocks{a.cached / block_tokens_});
  c.context = c.cached = a.cached;
  c.promise = a.promise;
  c.lane = l;
  p.computed = narrow<Tokens32>(a.cached);
  p.reserved = narrow<Tokens32>(a.reserve);
  p.lane = static_cast<std::int16_t>(l);
  p.stage = Stage::kPrefill;
  if (c.row.first_schedule == kNever) {
    c.row.first_schedule = now_;
    c.row.station = s.index;
    c.row.cached = a.cached.value();
  }
  note(s, lane, TwinDecision::kAdmit, a.call, a.cached);
  event(s, CallEvent::kAdmitted, a.call);
}

void Twin::take_chunk(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk, const StationView& v, Step& step,
                      StepShape& shape) {
  TwinCall& c = at(chunk.call);
  Progress& p = row(chunk.call).progress;
  if (c.context + chunk.q > Tokens{p.reserved}) {
    s.kv->take(c.lease, v.kv.blocks_for(c.context + chunk.q) - v.kv.blocks_for(p.reserved));
    p.reserved = narrow<Tokens32>(c.context + chunk.q);
  }
  step.chunks.push_back(chunk);
  const std::int64_t q = chunk.q.value();
  shape.prefill += chunk.q;
  shape.prefill_pairs += q * c.context.value() + q * q / 2;
  shape.outputs += c.context + chunk.q == Tokens{c.given.request.prompt_tokens} + c.emitted;
  note(s, lane, TwinDecision::kChunk, chunk.call, chunk.q);
}

void Twin::leave(TwinStation& s, Lane& lane, const BatchPlan::Departure& d, Step& step, StepShape& shape) {
  TwinCall& c = at(d.call);
  Progress& p = row(d.call).progress;
  const bool swap = d.how == Leave::kSwap && p.stage == Stage::kDecode;
  drop_from(lane, d.call);
  std::erase(lane.prefilling, d.call);
  const TwinDecision::Kind kind = swap                        ? TwinDecision::kSwap
                                  : d.how == Leave::kRestart  ? TwinDecision::kRestart
                                  : d.how == Leave::kFail     ? TwinDecision::kFail
                                                              : TwinDecision::kRecompute;
  note(s, lane, kind, d.call, c.context);
  const std::int64_t spent = (c.context - c.cached).value();
  if (d.how == Leave::kFail) {
    result_.sums.wasted += spent;
    return gone(s, d.call, TwinStatus::kFailed);
  }
  ++result_.sums.preemptions;
  if (swap) {
    ++result_.sums.swaps;
    step.swapped_out.push_back(d.call);
    s.host_free -= c.context;
    shape.host_out += config_.kv_bytes_per_token * c.context.value();
    p.stage = Stage::kSwapped;   // into the queue when the step ends
  } else {
    c.promise = Tokens{};
    regrow(c);
    (d.how == Leave::kRestart ? result_.sums.wasted : result_.sums.recomputed) += spent;
    s.kv->publish(c.lease, c.given, c.context);
    s.kv->release(c.lease, c.given);
    if (d.how == Leave::kRestart) {
      c.emitted = Tokens{};
      c.row.first_token = kNever;
      c.tokens.clear();
    }
    c.context = c.cached = Tokens{};
    p.computed = Tokens32{};
    p.emitted = narrow<Tokens32>(c.emitted);
    p.stage = Stage::kWaiting;
    enter(s, s.waiting, d.call);
  }
  c.row.preemptions = std::min(c.row.preemptions + 1, 255);
  p.preemptions = static_cast<std::uint8_t>(c.row.preemptions);
  event(s, CallEvent::kPreempted, d.call);
}

/// A call that was thrown out comes back with a larger reservation if it had filled it, else with the same or with
/// none.
void Twin::regrow(TwinCall& c) {
  Progress& p = row(c.id).progress;
  const bool grows = config_.kv->regrow(row(c.id).call, p.reserved) > Tokens{};
  if (c.context < Tokens{p.reserved}) {
    if (!grows && !config_.kv->contiguous()) p.reserved = Tokens32{};
    return;
  }
  const Tokens largest = view(stations_[static_cast<std::size_t>(c.station)], 0).kv.largest_lease();
  p.reserved = narrow<Tokens32>(std::min(config_.kv->regrow(row(c.id).call, p.reserved), largest));
}

void Twin::start(TwinStation& s, Lane& lane, Step step, StepShape shape, const BatchPlan& plan) {
  BatchPlan::Padding pad = plan.padding();
  if (!step.decodes) pad.decodes = pad.decode_context = Tokens{};
  std::int64_t decodes = 0;
  if (step.decodes)
    for (CallId id : lane.members) {
      ++decodes;
      shape.decode_context += at(id).context + 1_tok;
    }
  result_.sums.computed += decodes + shape.prefill.value();
  result_.sums.padded += (pad.decodes + pad.prefill).value();
  if (step.decodes) shape.max_context = lane.longest_at_zero + Tokens{lane.clock + 1};
  shape.decodes = Tokens{decodes} + pad.decodes;
  shape.decode_context += pad.decode_context;
  shape.decode_context_unique = shape.decode_context;
  shape.prefill += pad.prefill;
  shape.prefill_pairs += pad.pairs;
  shape.sequences = static_cast<std::int32_t>(shape.decodes.value() + static_cast<std::int64_t>(step.chunks.size()));
  shape.outputs += static_cast<std::int32_t>(shape.decodes.value());
  Time done = now_;
  for (int stage = 0; stage < stages_; ++stage) {
    const StepRun run = config_.cost->price({&shape, 1}, stage);
    if (stage > 0) done += config_.cost->hop(shape.decodes + shape.prefill);
    Time& stage_free = s.stage_free[static_cast<std::size_t>(stage)];
    done = stage_free = std::max(done, stage_free) + run.first;
    result_.sums.busy += to_ps(run.first);
    result_.sums.energy += run.e_first.value();
  }
  ++result_.sums.iterations;
  result_.sums.span += to_ps(done - now_);
  result_.sums.running += static_cast<Wide>(to_ps(done - now_)) * shape.sequences;
  result_.sums.max_running = std::max<std::int64_t>(result_.sums.max_running, shape.sequences);
  step.end = done;
  lane.step = std::move(step);
}

}  // namespace orrery::twin
