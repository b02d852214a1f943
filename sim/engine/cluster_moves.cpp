/// Journeys: a call's way from the instance that computed its prompt, or that it decodes on, to another.
#include <algorithm>

#include "sim/engine/cluster.hpp"

namespace orrery {
namespace {

/// Bytes left to send when the last prefill step of a prompt ends, if each layer's KV went as soon as the layer was
/// computed: the last layer's share at least, all of it less what a step of that length lets through. Exact for layers
/// of equal time and an uncontended link: layer i of L is ready at i/L of the step.
Bytes exposed(Bytes all, int layers, Duration step, std::int64_t bytes_per_s) {
  const std::int64_t last = ceil_div(all.value(), layers);
  if (bytes_per_s <= 0) return Bytes{last};
  const auto overlapped = static_cast<Wide>(to_ps(step)) * (layers - 1) / layers * bytes_per_s / 1'000'000'000'000;
  return Bytes{std::max(last, all.value() - static_cast<std::int64_t>(std::min<Wide>(overlapped, all.value())))};
}

}  // namespace

ClusterEngine::Journey& ClusterEngine::journey(CallId id) {
  if (journeys_.size() <= id.index) journeys_.resize(id.index + 1);
  return journeys_[id.index];
}

const ClusterEngine::Journey* ClusterEngine::journey_of(CallId id) const {
  return id.index < journeys_.size() ? &journeys_[id.index] : nullptr;
}

bool ClusterEngine::moving(CallId id) const {
  const Journey* j = journey_of(id);
  return j && j->leg != Leg::kNone;
}

void ClusterEngine::set_out(CallId id, Leg leg) {
  Journey& j = journey(id);
  if (j.leg != Leg::kNone) throw EngineError("cluster: request " + std::to_string(call(id).number) + " sets out twice");
  j.id = id;
  j.leg = leg;
  j.since = now_;
  j.place = under_way_.size();
  under_way_.push_back(id);
}

void ClusterEngine::end_journey(CallId id) {
  Journey& j = journey(id);
  if (j.leg == Leg::kNone) throw EngineError("cluster: request " + std::to_string(call(id).number) + " arrives twice");
  journey(under_way_.back()).place = j.place;
  under_way_[j.place] = under_way_.back();
  under_way_.pop_back();
  j.leg = Leg::kNone;
  j.handed_over = false;
  j.copied = j.booked = Tokens{};
}

/// Whatever is on the wire for it is not wanted any more; room that was booked is given back.
void ClusterEngine::abandon_copy(CallId id) {
  Journey& j = journey(id);
  fabric_.cancel(j.flow, now_);
  j.flow = {};
  ++j.arrival;
  if (j.how == Move::kLiveTokens) end_compute(id, false);
  if (j.booked == Tokens{}) return;
  host_->station(j.to).unbook(j.booked, now_);
  host_->touch(j.to);
  j.booked = Tokens{};
}

/// `to` will decode this call.
void ClusterEngine::expect(CallId id, StationId to) {
  Journey& j = journey(id);
  j.to = to;
  j.expected = true;
  ++at(to).inbound;
  at(to).inbound_tokens += call(id).prompt + call(id).predicted_high;
}

void ClusterEngine::unexpect(CallId id) {
  Journey& j = journey(id);
  if (!j.expected) return;
  j.expected = false;
  --at(j.to).inbound;
  at(j.to).inbound_tokens -= call(id).prompt + call(id).predicted_high;
}

void ClusterEngine::place(CallId id, Time now, bool again) {
  now_ = now;
  if (again) journey(id).taken = true;
  const Placement p = parts_.policy->route(id, *this, host_->rng(Purpose::kRouter, call(id).number));
  if (p.kind == Placement::kHold) {
    held_.push_back(id);
    if (Journey& j = journey(id); j.held == kNever) j.held = now;
    return tell_wait();
  }
  if (p.kind == Placement::kReject) {
    forget(id);
    return host_->reject(id, now);
  }
  if (!p.prefill.valid() || static_cast<std::size_t>(p.prefill.index) >= instances_.size() || !at(p.prefill).runs())
    throw EngineError("the cluster policy sent request " + std::to_string(call(id).number) + " to instance " +
                      std::to_string(p.prefill.index) + ", which does not run");
  if (const std::int32_t model = at(p.prefill).model; model >= 0 && model != call(id).model)
    throw EngineError("the cluster policy sent request " + std::to_string(call(id).number) + " of model " +
                      std::to_string(call(id).model) + " to instance " + std::to_string(p.prefill.index) +
                      ", which holds model " + std::to_string(model));
  let_in(id, p.prefill);
  if (committed(id)) {
    if (host_->station(p.prefill).accepts(id)) return await(id, p.prefill);
    forget(id);
  }
  if (!host_->fits(id, p.prefill, now)) return;
  if (!journey(id).taken && !host_->admits(id, p.prefill, now)) return;
  Journey& j = journey(id);
  j.taken = true;
  j.at = p.prefill;
  j.leg = Leg::kNone;
  idle_[static_cast<std::size_t>(p.prefill.index)] = 0;
  if (p.decode.valid() && p.decode != p.prefill) expect(id, p.decode);
  else j.to = p.decode;
  ++placed_[static_cast<std::size_t>(at(p.prefill).pool.index)];
  act("policy", "place", p.prefill, &call(id), p.decode.index);
  deliver(id, p.prefill);
}

/// A call that was held is placed: of that time, what its instance loaded meanwhile is its load time.
void ClusterEngine::let_in(CallId id, StationId to) {
  Journey& j = journey(id);
  if (j.held == kNever) return;
  const Load& load = loads_[static_cast<std::size_t>(to.index)];
  if (load.tier != Tier::kNone && load.to != kNever && load.to > j.held)
    j.loaded += load.to - std::max(load.from, j.held);
  j.held = kNever;
}

bool ClusterEngine::takes_over(CallId id, StationId at_station, Time began, Time now) {
  now_ = now;
  Journey& j = journey(id);
  if (j.leg != Leg::kNone) return false;   // preempted during a live move: it decodes here again
  if (j.at != at_station || j.to == at_station) return false;
  if (!j.to.valid() || !at(j.to).runs()) {
    unexpect(id);
    const StationId to =
        parts_.policy->decode_at(id, at_station, *this, host_->rng(Purpose::kPolicy, call(id).number));
    if (to == at_station) {
      journey(id).to = to;
      return false;
    }
    if (to.valid()) expect(id, to);
    else journey(id).to = to;
  }
  Journey& known = journey(id);
  known.context = Tokens{run_->calls.progress(id).computed};
  known.step = now - began;
  known.how = Move::kStop;
  known.handed_over = true;
  known.transfer = parts_.policy->transfer(id, *this);
  ++outbound_[static_cast<std::size_t>(at_station.index)];
  set_out(id, Leg::kUndecided);
  if (known.to.valid()) {
    queue_for(id, known.to);
  } else {
    undecided_.push_back(id);
    tell_wait();
  }
  return true;
}

/// Its prompt is done, or its destination has gone: where to?
void ClusterEngine::decide(CallId id) {
  Journey& j = journey(id);
  const StationId to = parts_.policy->decode_at(id, j.at, *this, host_->rng(Purpose::kPolicy, call(id).number));
  if (!to.valid()) {
    undecided_.push_back(id);
    return tell_wait();
  }
  if (to != j.at) {
    expect(id, to);
    return queue_for(id, to);
  }
  journey(id).to = to;
  end_journey(id);
  stay(id, to);
}

/// A call whose lease is frozen decodes where it is after all.
void ClusterEngine::stay(CallId id, StationId at_station) {
  --outbound_[static_cast<std::size_t>(at_station.index)];
  host_->station(at_station).readopt(id, now_);
  host_->touch(at_station);
}

void ClusterEngine::queue_for(CallId id, StationId to) {
  journey(id).leg = Leg::kQueued;
  queues_[static_cast<std::size_t>(to.index)].push_back(id);
  queued_ = true;
  idle_[static_cast<std::size_t>(to.index)] = 0;
  host_->touch(to);
}

void ClusterEngine::settle(StationId s, Time now) {
  now_ = now;
  const auto index = static_cast<std::size_t>(s.index);
  auto& queue = queues_[index];
  while (!queue.empty() && !hung(s)) {
    const CallId id = queue.front();
    Journey& j = journey(id);
    const Tokens booked = host_->station(s).booking(id, j.context);
    if (parts_.policy->accepts(id, s, j.context, *this) && book(s, Tokens{}, booked)) {
      queue.pop_front();
      j.booked = booked;
      if (j.at.valid()) start_copy(id);
      else land_committed(id);
    } else if (host_->station(s).empty() || locked(s)) {   // it will never have more room
      turn_back(s);
    } else {
      if (steps(s)) host_->station(s).pause_at_boundary(now);
      break;
    }
  }
  if (something_changed_) ask_again();
  Instance& x = at(s);
  if (idle_[index] || !empty(s)) return;
  idle_[index] = 1;
  if (x.phase == Phase::kDraining) return enter(s, Phase::kOff, "engine");
  if (!x.runs()) return;
  parts_.policy->on_idle(s, *this);
  for (ClusterController* c : parts_.controllers) c->on_idle(s, *this);
}

/// The first call that waits for room at `s` decodes where its KV is; one without an instance is placed anew.
void ClusterEngine::turn_back(StationId s) {
  auto& queue = queues_[static_cast<std::size_t>(s.index)];
  const CallId id = queue.front();
  queue.pop_front();
  Journey& j = journey(id);
  const StationId stays = j.at;
  unexpect(id);
  if (!stays.valid()) {
    hold_again(id);
    forget(id);
    return;
  }
  act("engine", "turn back", s, &call(id), stays.index);
  j.to = stays;
  end_journey(id);
  stay(id, stays);
}

/// Is all KV at `s` that of calls which wait for room elsewhere, where it is the same again? O(instances x journeys),
/// asked only where a call finds no room and nobody runs.
bool ClusterEngine::locked(StationId s) {
  std::vector<StationId> reached{s};
  for (std::size_t i = 0; i < reached.size(); ++i) {
    Station& x = host_->station(reached[i]);
    if (x.running() > 0 || !x.queue().empty()) return false;
    for (const CallId id : under_way_) {
      const Journey& j = journey(id);
      if (j.at != reached[i]) continue;
      if (j.leg != Leg::kQueued) return false;
      if (std::find(reached.begin(), reached.end(), j.to) == reached.end()) reached.push_back(j.to);
    }
  }
  return true;
}

bool ClusterEngine::unlock(Time now) {
  now_ = now;
  for (const Instance& x : instances_) {
    if (queues_[static_cast<std::size_t>(x.station.index)].empty()) continue;
    turn_back(x.station);
    return true;
  }
  return false;
}

void ClusterEngine::start_copy(CallId id) {
  Journey& j = journey(id);
  j.leg = Leg::kCopying;
  j.queued += now_ - j.since;
  j.since = now_;
  std::optional<Duration> estimate;
  if (j.how != Move::kLiveTokens) {
    start_flow(id, j.context - j.copied);
    estimate = fabric_.time_left(j.flow) + latency_[pair(at(j.at).pool, at(j.to).pool)];
  }
  act("engine", "copy", j.at, &call(id), j.to.index, estimate);
  if (j.how == Move::kLiveTokens) start_compute(id);
}

/// What the destination does not have yet, as KV or as tokens.
void ClusterEngine::send_rest(CallId id) {
  Journey& j = journey(id);
  if (j.how == Move::kLiveTokens) start_compute(id);
  else start_flow(id, j.context - j.copied);
}

/// Sends the KV of so many tokens; of a layer-wise transfer, what its last prefill step did not hide takes time.
void ClusterEngine::start_flow(CallId id, Tokens tokens) {
  Journey& j = journey(id);
  const auto pool = static_cast<std::size_t>(at(j.at).pool.index);
  Bytes bytes = pools_[pool].kv_bytes_per_token * tokens.value();
  sent_ += bytes.value();
  const LinkId out = out_[static_cast<std::size_t>(j.at.index)], in = in_[static_cast<std::size_t>(j.to.index)];
  if (j.transfer == Transfer::kLayerwise)
    bytes = exposed(bytes, pools_[pool].layers, j.step, out.valid() ? fabric_.bandwidth(out) : 0);
  SmallVec<LinkId> links;
  for (const LinkId l : {out, pair_[pair(at(j.at).pool, at(j.to).pool)], in})
    if (l.valid()) links.push_back(l);
  j.flow = fabric_.start(now_, bytes, {links.begin(), links.end()}, id.index);
}

/// The last byte of a copy has left.
void ClusterEngine::flow_ended(Journey& j) {
  const Duration latency = latency_[pair(at(j.at).pool, at(j.to).pool)];
  j.flow = {};
  if (latency > Duration{}) push(now_ + latency, Event::kArrive, j.id.index, ++j.arrival);
  else arrive(j.id);
}

void ClusterEngine::arrive(CallId id) {
  Journey& j = journey(id);
  if (j.how == Move::kLiveTokens) end_compute(id, true);
  if (j.leg == Leg::kLive) return next_live_stage(id);
  const StationId from = j.at, to = j.to;
  j.moved += now_ - j.since;
  run_->recorder->on_stall(Stall::kTransfer, now_ - j.since);
  unexpect(id);
  --outbound_[static_cast<std::size_t>(from.index)];
  host_->station(from).let_go(id, j.context, now_);
  host_->touch(from);
  host_->station(to).land(id, j.context, j.booked, now_);
  host_->touch(to);
  run_->calls.secret(id).station = to;
  j.at = j.decoded = to;
  if (!j.handed_over) {
    ++j.migrations;
    ++migrations_;
    downtime_ += now_ - j.since;
    longest_downtime_ = std::max(longest_downtime_, now_ - j.since);
  }
  end_journey(id);
  act("engine", "land", to, &call(id), from.index);
}

bool ClusterEngine::migrate(CallId id, StationId to, Move how) {
  if (!run_->calls.alive(id) || moving(id) || !at(to).runs()) return false;
  const StationId from = run_->calls.secret(id).station;
  if (!from.valid() || from == to || hung(from)) return false;
  const Stage stage = run_->calls.progress(id).stage;
  if (stage == Stage::kWaiting) {
    migrate_waiting(id, from, to);
    return true;
  }
  if (stage != Stage::kDecode) return false;
  Station& source = host_->station(from);
  Journey& j = journey(id);
  const bool live = how == Move::kLive || how == Move::kLiveTokens;
  if (how == Move::kLiveTokens && !computes_for_others(to)) return false;
  if (live) {
    const Tokens context = source.context_now(id), booked = host_->station(to).booking(id, context);
    if (!book(to, Tokens{}, booked)) return false;
    host_->touch(to);
    j.booked = booked;
    j.context = context;
  }
  j.at = from;
  j.how = how;
  j.transfer = Transfer::kSerialized;
  j.stage = 0;
  expect(id, to);
  idle_[static_cast<std::size_t>(to.index)] = 0;
  set_out(id, live ? Leg::kLive : Leg::kStopping);
  act("policy", "migrate", from, &call(id), to.index);
  if (live) {
    send_rest(id);
  } else {
    source.detach(id, now_);
    host_->touch(from);
  }
  return true;
}

void ClusterEngine::migrate_waiting(CallId id, StationId from, StationId to) {
  host_->station(from).withdraw(id, now_);
  host_->touch(from);
  unexpect(id);
  journey(id).at = journey(id).to = to;
  idle_[static_cast<std::size_t>(to.index)] = 0;
  act("policy", "migrate", from, &call(id), to.index);
  if (host_->fits(id, to, now_)) deliver(id, to);
}

/// A stage of a live move has been copied: the tokens since then are the next, or the last for which it stands still.
void ClusterEngine::next_live_stage(CallId id) {
  Journey& j = journey(id);
  Station& source = host_->station(j.at);
  if (run_->calls.progress(id).stage != Stage::kDecode) return give_up_live(id);   // preempted meanwhile
  const Tokens context = source.context_now(id), more = context - j.context;
  const Tokens before = j.context - j.copied;
  j.copied = j.context;
  ++j.stage;
  if (last_stage(j, before, more)) {
    j.leg = Leg::kStopping;
    source.detach(id, now_);
    return host_->touch(j.at);
  }
  const Tokens booked = host_->station(j.to).booking(id, context);
  if (booked > j.booked) {
    if (!book(j.to, j.booked, booked)) return give_up_live(id);
    host_->touch(j.to);
    j.booked = booked;
  }
  j.context = context;
  send_rest(id);
}

/// Does the call stand still for the `more` tokens that came while `before` were sent? By tokens: also if that is no
/// longer fewer, since the destination would never catch up.
bool ClusterEngine::last_stage(const Journey& j, Tokens before, Tokens more) const {
  if (j.how == Move::kLiveTokens) return more <= parts_.tokens_last || more >= before;
  const LiveMove rule = parts_.policy->live_move();
  return more <= rule.last || j.stage >= rule.stages;
}

/// An instance that has nothing to do and nothing in prospect can compute the KV of a call that is to come.
bool ClusterEngine::computes_for_others(StationId to) const {
  return empty(to) && host_->station(to).idle();
}

/// The destination computes the KV of the tokens that have come: one step of its own, in which it does nothing else.
/// The tokens themselves are a few kB: the time to send them is left out.
void ClusterEngine::start_compute(CallId id) {
  Journey& j = journey(id);
  const Tokens tokens = j.context - j.copied;
  j.computing = now_;
  const Duration time = host_->station(j.to).compute_for(j.copied, tokens, now_);
  act("engine", "round", j.to, &call(id), tokens.value(), time);
  push(now_ + time, Event::kArrive, id.index, ++j.arrival);
}

/// That step is over, or is not needed any more.
void ClusterEngine::end_compute(CallId id, bool done) {
  Journey& j = journey(id);
  if (j.computing != kNever) host_->station(j.to).computed_for(id, j.context - j.copied, j.computing, done, now_);
  j.computing = kNever;
  if (done && j.leg == Leg::kLive) return;   // the next round, or the call's last step there, comes first
  host_->station(j.to).resume(now_);
  host_->touch(j.to);
}

/// The call stays where it is, or is no more; the room that was booked for it is given back.
void ClusterEngine::give_up_live(CallId id) {
  Journey& j = journey(id);
  abandon_copy(id);
  act("engine", "give up", j.at, &call(id), j.to.index);
  unexpect(id);
  j.to = j.at;
  end_journey(id);
}

void ClusterEngine::stayed(CallId id) { give_up_live(id); }

void ClusterEngine::detached(CallId id, StationId from, Time now) {
  now_ = now;
  Journey& j = journey(id);
  ++outbound_[static_cast<std::size_t>(from.index)];
  j.context = Tokens{run_->calls.progress(id).computed};
  j.since = now;
  if (j.how == Move::kRecompute || j.how == Move::kRestart) {
    const StationId to = j.to;
    unexpect(id);
    lose_frozen(id);
    reset(id, j.how);
    j.at = j.to = to;
    ++j.migrations;
    ++migrations_;
    if (host_->fits(id, to, now)) deliver(id, to);
    return;
  }
  const Tokens booked = host_->station(j.to).booking(id, j.context);
  if (booked > j.booked) {
    if (!book(j.to, j.booked, booked)) {   // no room: it goes on where it is
      give_up_live(id);
      return stay(id, from);
    }
    host_->touch(j.to);
    j.booked = booked;
  }
  start_copy(id);
}

Tokens ClusterEngine::undone(CallId id) const {
  const Progress& p = run_->calls.progress(id);
  return Tokens{p.computed} - run_->calls.cached(id);
}

/// No KV is left of a call: it has to compute it again, or all of it. An answer that was complete but not given out is
/// lost, too.
void ClusterEngine::reset(CallId id, Move how) {
  Progress& p = run_->calls.progress(id);
  CallSecret& s = run_->calls.secret(id);
  const bool restart = how == Move::kRestart || p.emitted == s.output;
  run_->recorder->on_departure(restart ? Leave::kRestart : Leave::kRecompute, undone(id));
  p.computed = p.reserved = Tokens32{};
  run_->calls.set_cached(id, Tokens32{});
  p.stage = Stage::kWaiting;
  p.lane = -1;
  if (restart) {
    for (Observer* o : run_->observers) o->on_anew(id, id);
    p.emitted = Tokens32{};
    s.first_token = kNever;
  }
  s.station = {};
}

/// A frozen lease is given up where it lies.
void ClusterEngine::lose_frozen(CallId id) {
  Journey& j = journey(id);
  host_->station(j.at).let_go(id, j.context, now_);
  host_->touch(j.at);
  --outbound_[static_cast<std::size_t>(j.at.index)];
  end_journey(id);
}

/// A call whose lease is frozen goes nowhere any more.
void ClusterEngine::forget_destination(CallId id) {
  Journey& j = journey(id);
  if (j.leg == Leg::kQueued) {
    std::erase(queues_[static_cast<std::size_t>(j.to.index)], id);
    host_->touch(j.to);   // the next in its queue may come
  }
  if (j.leg == Leg::kUndecided) std::erase(undecided_, id);
  abandon_copy(id);
  unexpect(id);
}

/// An instance has stopped: calls that come from it are lost with their KV, calls that go to it look for another.
void ClusterEngine::stop_journeys(StationId s, std::vector<CallId>& lost) {
  std::vector<CallId> all = under_way_;
  std::sort(all.begin(), all.end(), [&](CallId a, CallId b) { return call(a).number < call(b).number; });
  for (const CallId id : all) {
    Journey& j = journey(id);   // giving room back may end a step elsewhere, and a journey with it
    if (j.leg == Leg::kNone || (j.at != s && j.to != s)) continue;
    const bool frozen = j.leg == Leg::kUndecided || j.leg == Leg::kQueued || j.leg == Leg::kCopying;
    if (!frozen) {
      give_up_live(id);
      continue;
    }
    forget_destination(id);
    if (!j.at.valid()) {
      hold_again(id);
    } else if (j.at == s) {
      lose_frozen(id);
      lost.push_back(id);
    } else {
      j.copied = Tokens{};
      j.how = Move::kStop;
      j.leg = Leg::kUndecided;
      j.to = {};
      undecided_.push_back(id);
    }
  }
  something_changed_ = true;
}

/// A call that has lost its instance, and its KV with it.
void ClusterEngine::begin_again(CallId id, Move how) {
  reset(id, how);
  place_again(id);
}

/// Like one that arrives.
void ClusterEngine::place_again(CallId id) {
  unexpect(id);
  journey(id).at = journey(id).to = {};
  act("engine", "begin again", {}, &call(id), 0);
  place(id, now_, true);
}

void ClusterEngine::left(CallId id, Time now) {
  now_ = now;
  if (id.index >= journeys_.size()) return;
  if (journeys_[id.index].leg == Leg::kLive || journeys_[id.index].leg == Leg::kStopping) give_up_live(id);
  unexpect(id);
  const std::uint32_t arrival = journeys_[id.index].arrival + 1;
  journeys_[id.index] = {};
  journeys_[id.index].arrival = arrival;
  if (!held_.empty() || !undecided_.empty()) something_changed_ = true;
}

bool ClusterEngine::cancel(CallId id, Time now, const std::function<void(CallId, Tokens)>& leave) {
  now_ = now;
  if (std::erase(held_, id) > 0) {
    const Tokens kept = undone(id);
    if (committed(id)) end_journey(id);
    leave(id, kept);
    return true;
  }
  if (const StationId s = run_->calls.secret(id).station;
      s.valid() && std::erase(stranded_[static_cast<std::size_t>(s.index)], id) > 0) {
    unstrand(id, s);
    leave(id, Tokens{});
    return true;
  }
  if (!moving(id)) return false;
  Journey& j = journey(id);
  if (j.leg == Leg::kLive || j.leg == Leg::kStopping) {
    give_up_live(id);
    return false;   // it is in a batch; that is its station's business
  }
  forget_destination(id);
  if (j.at.valid()) lose_frozen(id);
  else end_journey(id);
  leave(id, undone(id));
  return true;
}

void ClusterEngine::complete(Row& row, CallId id) const {
  const Journey* j = journey_of(id);
  if (!j) return;
  row.decode_station = j->decoded;
  row.transfer = j->moved;
  row.decode_queue = j->queued;
  row.migrations = j->migrations;
  row.load = j->loaded;
}

}  // namespace orrery
