#include "tests/twin/twin.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>

#include "sim/plan.hpp"
#include "tests/twin/twin_kv.hpp"

namespace orrery {
namespace {

/// A call as it truly stands. The rows that policies see are written from it, as of the call's last change.
struct TwinCall {
  TwinRequest given;
  CallId id;
  TwinLease lease;
  Time last_token{};
  Tokens emitted, context, cached, promise;
  Tokens joined_context;      ///< context when it joined its group
  int station = -1, lane = -1;
  Time gives_up = kNever;     ///< whatever comes of it
  std::vector<Time> tokens;   ///< when each came that the client has now
  TwinRow row;

  std::uint64_t number() const { return given.request.number; }
  Tokens output() const { return given.request.output_tokens; }
};

struct Step {
  Time end{};
  bool decodes = false;
  std::vector<BatchPlan::Chunk> chunks;
  std::vector<CallId> swapped_out;
  Tokens resumed;             ///< context of the calls that came back from host memory
};

struct Lane {
  std::vector<CallId> prefilling, members, held;
  std::vector<std::pair<CallId, TwinStatus>> given_up;
  std::int64_t clock = 0, steps_since_admission = 0;
  Tokens longest_at_zero;     ///< max over members, since the group was last empty, of context - clock
  std::optional<Step> step;
  bool ready = false;         ///< would plan, but the first stage is taken
};

struct TwinStation;

struct CacheOfStation final : PrefixView {
  const TwinStation* station = nullptr;
  class Twin* twin = nullptr;
  PrefixMatch match(CallId) const override;
  Blocks releasable(CallId) const override;
};

struct TwinStation {
  int index = 0;
  Batcher* batcher = nullptr;
  QueueOrder* order = nullptr;
  std::unique_ptr<TwinKv> kv;
  CacheOfStation cache;
  std::vector<CallId> waiting, swapped;
  std::vector<Lane> lanes;
  std::vector<Time> stage_free;   ///< by pipeline stage
  Tokens host_free;
  Blocks unusable;                ///< as of the last plan
  bool changed = false;           ///< it has work in this instant: all lanes that run nothing are asked
};

class Twin {
 public:
  Twin(const TwinConfig& config, RequestSource& source);
  TwinResult run();

  TwinCall& at(CallId id) { return *calls_[id.index]; }
  CallRow& row(CallId id) { return rows_[id.index]; }

 private:
  // what happens, in the order of one instant
  Time next_event();
  void integrate(Duration time);
  Blocks unusable(TwinStation& s);
  void boundary(TwinStation& s, Lane& lane);
  void arrivals();
  void plan_lanes(TwinStation& s);
  // arrival
  void accept();
  void submit(std::unique_ptr<TwinCall> c, Time at);
  double experience(const TwinCall& c) const;
  bool tries_again(const TwinCall& c, TwinStatus status, bool for_good) const;
  void try_again(TwinCall& c);
  void unserved(TwinCall& c, TwinStatus status, bool for_good);
  void route(TwinCall& c);
  Blocks watermark(const TwinStation& s) const;
  bool never_fits(const TwinStation& s, const Call& call) const;
  // one iteration
  bool plan_once(TwinStation& s, int lane);
  void leave(TwinStation& s, Lane& lane, const BatchPlan::Departure& d, Step& step, StepShape& shape);
  void regrow(TwinCall& c);
  void start(TwinStation& s, Lane& lane, Step step, StepShape shape, const BatchPlan& plan);
  void release_held(TwinStation& s, Lane& lane);
  void cancels();
  void drop(TwinStation& s, TwinCall& c, TwinStatus why);
  void chunk_done(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk);
  // a call's life
  void join(Lane& lane, CallId id);
  void drop_from(Lane& lane, CallId id);
  void token(TwinStation& s, CallId id);
  void finished(TwinStation& s, Lane& lane, CallId id);
  void gone(TwinStation& s, CallId id, TwinStatus status, bool for_good = false);
  void enter(TwinStation& s, std::vector<CallId>& queue, CallId id);
  // the policy's picture
  StationView view(TwinStation& s, int lane);
  bool reached_reservation(CallId id);
  bool is_full(CallId id);
  bool needs_block(CallId id);
  void sort_by_number(std::vector<CallId>& ids);
  void event(TwinStation& s, CallEvent::Kind kind, CallId id);
  void note(TwinStation& s, const Lane& lane, TwinDecision::Kind kind, CallId id, Tokens tokens);
  std::vector<StationLoad> loads();

  const TwinConfig config_;
  RequestSource& source_;
  int stages_;
  Tokens block_tokens_;
  Time now_{};
  std::vector<std::unique_ptr<TwinCall>> calls_;
  std::vector<CallRow> rows_;
  std::vector<TwinStation> stations_;
  std::set<std::pair<Time, std::uint64_t>> coming_;    ///< arrived calls that wait for their prediction
  /// Clients that will give up, if they have no answer by then: when, who, all of it (cancelled) or this attempt.
  std::set<std::tuple<Time, std::uint64_t, TwinStatus>> giving_up_;
  std::map<std::uint64_t, CallId> by_number_;
  std::vector<CallId> full_;                           ///< of the view being planned
  BuddyRuns runs_{};
  std::vector<StationLoad> snapshot_;
  Time next_snapshot_{};
  std::uint64_t routed_ = 0;
  TwinResult result_;
};

PrefixMatch CacheOfStation::match(CallId id) const {
  const TwinCall& c = twin->at(id);
  return station->kv->match(c.given, Tokens{c.given.request.prompt_tokens} + c.emitted);
}

Blocks CacheOfStation::releasable(CallId id) const {
  return station->kv->releasable(twin->at(id).lease, twin->at(id).given);
}

Twin::Twin(const TwinConfig& config, RequestSource& source)
    : config_(config), source_(source), stages_(config.cost->stages()), stations_(config.batchers.size()) {
  block_tokens_ = config.kv->contiguous()                    ? 1_tok
                  : config.kv->block_tokens() > Tokens{} ? config.kv->block_tokens()
                                                         : config.block_tokens;
  for (std::size_t i = 0; i < stations_.size(); ++i) {
    TwinStation& s = stations_[i];
    s.index = static_cast<int>(i);
    s.batcher = config.batchers[i];
    s.order = config.orders[i];
    s.batcher->on_start(config_.classes);
    s.order->on_start(config_.classes);
    s.kv = std::make_unique<TwinKv>(config.kv_blocks, block_tokens_, config.kv->contiguous(), config.prefix,
                                    config.host_prefix);
    s.cache.station = &s;
    s.cache.twin = this;
    s.lanes.resize(static_cast<std::size_t>(stages_));
    s.stage_free.resize(static_cast<std::size_t>(stages_));
    s.host_free = config.host_tokens;
  }
}

TwinResult Twin::run() {
  for (now_ = next_event(); now_ != kNever; now_ = next_event()) {
    if (result_.sums.iterations > config_.most_iterations) twin_error("the run does not end");
    if (config_.router && config_.router->staleness() > Duration{} && now_ >= next_snapshot_) {
      const std::int64_t every = to_ps(config_.router->staleness());   // the state before the first event at or after
      snapshot_ = loads();                                             // each multiple of the staleness
      next_snapshot_ = Time{Duration{(to_ps(now_) / every + 1) * every}};
    }
    for (TwinStation& s : stations_)
      for (Lane& lane : s.lanes)
        if (lane.step && lane.step->end == now_) boundary(s, lane);
    cancels();
    arrivals();
    for (TwinStation& s : stations_) plan_lanes(s);
    result_.end = now_;
    if (const Time next = next_event(); next != kNever) integrate(next - now_);
  }
  for (const auto& c : calls_) result_.sums.cached += c->row.cached;
  for (const auto& [number, id] : by_number_) {
    if (at(id).row.status == TwinStatus::kInFlight) {
      at(id).row.output = at(id).emitted.value();
      if (!config_.qoe.empty()) at(id).row.qoe = experience(at(id));
      result_.rows.push_back(at(id).row);
    }
  }
  return result_;
}

Time Twin::next_event() {
  Time next = source_.peek();
  if (!coming_.empty()) next = std::min(next, coming_.begin()->first);
  if (!giving_up_.empty()) next = std::min(next, std::get<0>(*giving_up_.begin()));
  for (const TwinStation& s : stations_)
    for (const Lane& lane : s.lanes) {
      if (lane.step) next = std::min(next, lane.step->end);
      else if (lane.ready) next = std::min(next, s.stage_free[0]);
    }
  return next;
}

/// What KV holds from now on, for some time.
void Twin::integrate(Duration time) {
  for (TwinStation& s : stations_) {
    const Wide ps = to_ps(time), block = block_tokens_.value();
    Wide used = s.kv->pinned().value() * block, reserved = 0;
    for (const auto& c : calls_) {
      if (c->station != s.index || c->lease.own + c->lease.shared == Blocks{}) continue;
      used += c->context.value() - c->lease.shared.value() * block;
      const Tokens last = Tokens{c->given.request.prompt_tokens} + c->output() - 1_tok;
      const Tokens room = std::min(last, Tokens{row(c->id).progress.reserved});
      reserved += std::max(room - c->context, Tokens{}).value();
    }
    result_.sums.held += ps * (s.kv->total() - s.kv->free() - s.kv->evictable()).value();
    result_.sums.used += ps * used;
    result_.sums.reserved += ps * reserved;
    result_.sums.unusable += ps * s.unusable.value();
  }
}

/// Free slots, if the head of the queue cannot use them because all runs are too short.
Blocks Twin::unusable(TwinStation& s) {
  if (!config_.kv->contiguous() || s.waiting.empty()) return {};
  const Tokens target = view(s, 0).target(s.waiting.front());
  const Tokens wanted = config_.kv->reserve(row(s.waiting.front()).call, target, target);
  const BuddyRuns runs = s.kv->runs();
  for (int order = 0; order < 40; ++order)
    if (runs[order] > 0 && std::int64_t{1} << order >= wanted.value()) return {};
  return s.kv->free();
}

// --- (a) a step ends ------------------------------------------------------------------------------------------------

void Twin::boundary(TwinStation& s, Lane& lane) {
  const Step step = *lane.step;
  lane.step.reset();
  lane.ready = true;
  s.changed = true;
  for (CallId id : step.swapped_out) {
    TwinCall& c = at(id);
    s.kv->publish(c.lease, c.given, c.context);
    s.kv->release(c.lease, c.given);
    c.promise = Tokens{};
    regrow(c);
    enter(s, s.swapped, id);
  }
  s.host_free += step.resumed;
  if (step.decodes) {
    ++lane.clock;
    std::vector<CallId> members = lane.members;
    sort_by_number(members);
    for (CallId id : members) {
      ++at(id).context;
      token(s, id);
    }
    const GroupView group = view(s, static_cast<int>(&lane - s.lanes.data())).group;
    if (s.batcher->wants_events()) s.batcher->on_steps(1, group);
    if (s.order->wants_events()) s.order->on_steps(1, group);
    for (CallId id : members)
      if (at(id).emitted == at(id).output()) {
        drop_from(lane, id);
        finished(s, lane, id);
      } else if (reached_reservation(id) && !is_full(id)) {
        Progress& p = row(id).progress;   // goes on block by block: what policies see of it is as of now
        p.computed = narrow<Tokens32>(at(id).context);
        p.emitted = narrow<Tokens32>(at(id).emitted);
        p.joined = lane.clock;
        at(id).joined_context = at(id).context;
      }
  }
  for (const BatchPlan::Chunk& chunk : step.chunks) chunk_done(s, lane, chunk);
  ++lane.steps_since_admission;
  for (const auto& [id, why] : lane.given_up)
    if (at(id).row.status == TwinStatus::kInFlight) drop(s, at(id), why);
  lane.given_up.clear();
  release_held(s, lane);
}

/// A request-level batch is done when nothing of it runs any more: then all its answers leave.
void Twin::release_held(TwinStation& s, Lane& lane) {
  if (!lane.members.empty() || !lane.prefilling.empty()) return;
  sort_by_number(lane.held);
  for (CallId id : lane.held) gone(s, id, TwinStatus::kDone);
  lane.held.clear();
}

void Twin::chunk_done(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk) {
  TwinCall& c = at(chunk.call);
  c.context += chunk.q;
  Progress& p = row(chunk.call).progress;
  p.computed = narrow<Tokens32>(c.context);
  const bool complete = c.context == Tokens{c.given.request.prompt_tokens} + c.emitted;
  if (config_.prefix == TwinPrefix::kHash || complete) s.kv->publish(c.lease, c.given, c.context);
  if (!complete) return;
  std::erase(lane.prefilling, chunk.call);
  token(s, chunk.call);
  p.emitted = narrow<Tokens32>(c.emitted);
  if (c.emitted == c.output()) finished(s, lane, chunk.call);
  else join(lane, chunk.call);
}

void Twin::token(TwinStation& s, CallId id) {
  TwinCall& c = at(id);
  ++c.emitted;
  if (c.emitted > 1_tok) {
    result_.sums.gaps += to_ps(now_ - c.last_token);
    ++result_.sums.gap_count;
  }
  c.last_token = now_;
  c.tokens.push_back(now_);
  const Request& r = c.given.request;
  result_.service[{to_ps(now_) / to_ps(Duration{10s}), r.tenant}] +=
      2 + (c.emitted == 1_tok ? r.prompt_tokens.value() : 0);
  if (c.emitted != 1_tok) return;
  c.row.first_token = now_;
  event(s, CallEvent::kFirstToken, id);
}

void Twin::join(Lane& lane, CallId id) {
  TwinCall& c = at(id);
  Progress& p = row(id).progress;
  p.stage = Stage::kDecode;
  p.joined = lane.clock;
  p.computed = narrow<Tokens32>(c.context);
  p.emitted = narrow<Tokens32>(c.emitted);
  c.joined_context = c.context;
  const Tokens at_zero = c.context - Tokens{lane.clock};
  lane.longest_at_zero = lane.members.empty() ? at_zero : std::max(lane.longest_at_zero, at_zero);
  lane.members.push_back(id);
}

/// Out of the group: what policies see of it is now as of this instant.
void Twin::drop_from(Lane& lane, CallId id) {
  if (!std::erase(lane.members, id)) return;
  Progress& p = row(id).progress;
  p.computed = narrow<Tokens32>(at(id).context);
  p.emitted = narrow<Tokens32>(at(id).emitted);
}

void Twin::finished(TwinStation& s, Lane& lane, CallId id) {
  if (!s.batcher->returns_whole_batch()) return gone(s, id, TwinStatus::kDone);
  row(id).progress.stage = Stage::kHeld;
  lane.held.push_back(id);
}

void Twin::gone(TwinStation& s, CallId id, TwinStatus status, bool for_good) {
  TwinCall& c = at(id);
  s.kv->publish(c.lease, c.given, c.context);
  s.kv->release(c.lease, c.given);
  s.kv->remove(c.lease);
  c.promise = Tokens{};
  row(id).progress.stage = Stage::kGone;
  c.row.finish = now_;
  c.row.status = status;
  c.row.output = c.emitted.value();
  if (status == TwinStatus::kDone) {
    result_.sums.delivered += (c.context - c.cached).value();
  }
  if (status != TwinStatus::kRejected) event(s, CallEvent::kFinished, id);
  unserved(c, status, for_good);
}

/// An attempt has ended: its client tries again, or the request leaves.
void Twin::unserved(TwinCall& c, TwinStatus status, bool for_good) {
  c.row.finish = now_;
  c.row.status = status;
  std::erase_if(giving_up_, [&](const auto& entry) { return std::get<1>(entry) == c.number(); });
  if (tries_again(c, status, for_good)) return try_again(c);
  if (!config_.qoe.empty()) c.row.qoe = experience(c);
  result_.rows.push_back(c.row);
  source_.on_done(c.given.request, now_);
}

/// Andes' formulas, token by token. Whole picoseconds, then one division.
double Twin::experience(const TwinCall& c) const {
  const QoeRule& rule = config_.qoe[c.given.request.request_class];
  if (rule.tpot == Duration{}) return -1;
  if (c.row.status != TwinStatus::kDone) return 0;
  Wide early_and_late = 0, late = 0;
  Duration taken{};
  Duration expected = rule.ttft;
  for (std::size_t i = 0; i < c.tokens.size(); ++i) {
    const Duration came = c.tokens[i] - c.row.arrival;
    taken = i == 0 ? came : std::max(came, taken + rule.tpot);
    if (i > 0) expected += rule.tpot;
    early_and_late += to_ps(taken - expected);
    late += std::max<std::int64_t>(to_ps(taken - expected), 0);
  }
  const auto n = static_cast<std::int64_t>(c.tokens.size());
  const Duration read = taken + rule.tpot;   // the last token too
  const Wide twice = static_cast<Wide>(n) * to_ps(2 * read - 2 * rule.ttft - n * rule.tpot);
  const Wide lost = rule.first_formula ? early_and_late : late;
  if (taken <= expected || lost <= 0) return 1;
  return std::max(0.0, 1 - 2 * static_cast<double>(lost) / static_cast<double>(twice));
}

bool Twin::tries_again(const TwinCall& c, TwinStatus status, bool for_good) const {
  if (for_good || config_.clients.empty()) return false;
  if (status != TwinStatus::kTimedOut && status != TwinStatus::kRejected) return false;
  return c.row.retries < config_.clients[c.given.request.request_class].retries && c.gives_up > now_;
}

/// The same request, as another call.
void Twin::try_again(TwinCall& c) {
  auto next = std::make_unique<TwinCall>();
  next->given = c.given;
  next->given.request.segments = next->given.segments;
  next->gives_up = c.gives_up;
  next->row.retries = c.row.retries + 1;
  Duration wait = config_.clients[c.given.request.request_class].backoff;
  for (int i = 1; i < next->row.retries; ++i) wait = std::min<Duration>(2 * wait, 24h);
  submit(std::move(next), now_ + wait);
}

// --- (b) clients give up, requests arrive ---------------------------------------------------------------------------

void Twin::cancels() {
  while (!giving_up_.empty() && std::get<0>(*giving_up_.begin()) == now_) {
    const TwinStatus why = std::get<2>(*giving_up_.begin());
    TwinCall& c = at(by_number_.at(std::get<1>(*giving_up_.begin())));
    giving_up_.erase(giving_up_.begin());
    if (c.station < 0) {   // it waits for its prediction or its next attempt: no station knows of it
      std::erase_if(coming_, [&](const auto& entry) { return entry.second == c.number(); });
      unserved(c, why, false);
      continue;
    }
    TwinStation& s = stations_[static_cast<std::size_t>(c.station)];
    s.changed = true;
    if (c.lane >= 0) {
      Lane& lane = s.lanes[static_cast<std::size_t>(c.lane)];
      auto has = [&](const std::vector<CallId>& ids) { return std::find(ids.begin(), ids.end(), c.id) != ids.end(); };
      if (lane.step && (has(lane.members) || has(lane.prefilling) || has(lane.step->swapped_out))) {
        lane.given_up.push_back({c.id, why});   // leaves when the step ends
        continue;
      }
    }
    drop(s, c, why);
  }
}

/// A call whose client gave up leaves, wherever it stands; what was computed for it is wasted. A held answer is
/// complete.
void Twin::drop(TwinStation& s, TwinCall& c, TwinStatus why) {
  Lane& lane = s.lanes[static_cast<std::size_t>(std::max(c.lane, 0))];
  const Stage stage = row(c.id).progress.stage;
  if (stage == Stage::kHeld) return;
  note(s, lane, TwinDecision::kCancel, c.id, {});
  result_.sums.wasted += (c.context - c.cached).value();
  if (stage == Stage::kSwapped) {   // its KV is in host memory alone
    s.host_free += c.context;
    c.context = c.cached = Tokens{};
  }
  std::erase(s.waiting, c.id);
  std::erase(s.swapped, c.id);
  std::erase(lane.prefilling, c.id);
  drop_from(lane, c.id);
  gone(s, c.id, why);
}

void Twin::arrivals() {
  while (true) {
    if (!coming_.empty() && coming_.begin()->first == now_) {
      const CallId id = by_number_.at(coming_.begin()->second);
      coming_.erase(coming_.begin());
      route(at(id));
    } else if (source_.peek() == now_) {
      accept();
    } else {
      return;
    }
  }
}

/// Takes one request in; it is routed when its prediction is there.
void Twin::accept() {
  auto c = std::make_unique<TwinCall>();
  Request& r = c->given.request;
  source_.pop(r);
  c->given.segments.assign(r.segments.begin(), r.segments.end());
  r.segments = c->given.segments;
  if (r.cancel_after < kNever - now_) c->gives_up = now_ + r.cancel_after;
  submit(std::move(c), now_);
}

/// An attempt begins at `when`: now, or after a back-off.
void Twin::submit(std::unique_ptr<TwinCall> c, Time when) {
  const Request& r = c->given.request;
  c->id = CallId{static_cast<std::uint32_t>(calls_.size()), 0};
  c->row.number = r.number;
  c->row.arrival = r.arrival;
  c->row.prompt = r.prompt_tokens.value();
  Call call;
  call.number = r.number;
  call.arrival = when;
  call.deadline = r.deadline;
  call.prompt = r.prompt_tokens;
  call.max_tokens = r.max_tokens;
  call.session = r.session;
  call.tenant = r.tenant;
  call.request_class = r.request_class;
  call.model = r.model;
  call.priority = r.priority;
  Prediction p{};
  if (config_.predictor)
    p = config_.predictor->predict(call, r.output_tokens, Rng(config_.seed, Purpose::kPredictor, r.number));
  call.predicted_low = p.low;
  call.predicted_high = p.high;
  coming_.insert({when + p.cost, r.number});
  by_number_[r.number] = c->id;
  if (c->gives_up != kNever) giving_up_.insert({c->gives_up, r.number, TwinStatus::kCancelled});
  if (!config_.clients.empty() && config_.clients[r.request_class].timeout < kNever - when)
    giving_up_.insert({when + config_.clients[r.request_class].timeout, r.number, TwinStatus::kTimedOut});
  rows_.push_back({call, {}});
  calls_.push_back(std::move(c));
}

void Twin::route(TwinCall& c) {
  const Call& call = row(c.id).call;
  StationId to{0};
  if (config_.router && stations_.size() > 1) {
    const std::vector<StationLoad> now = loads();
    std::vector<const PrefixView*> caches;
    for (const TwinStation& s : stations_) caches.push_back(config_.prefix == TwinPrefix::kNone ? nullptr : &s.cache);
    const bool live = config_.router->staleness() == Duration{};
    const ClusterView cluster{now_, live ? now : snapshot_, caches, routed_};
    const auto attempt = static_cast<std::uint64_t>(c.row.retries);   // of the first, the number alone
    const std::uint64_t draw = attempt == 0 ? call.number : hash_combine(call.number, attempt);
    to = config_.router->route(call, c.id, cluster, Rng(config_.seed, Purpose::kRouter, draw));
  }
  ++routed_;
  TwinStation& s = stations_[static_cast<std::size_t>(to.index)];
  const StationLoad there = loads()[static_cast<std::size_t>(s.index)];
  c.station = s.index;
  s.kv->add(c.lease);
  if (never_fits(s, call)) return gone(s, c.id, TwinStatus::kRejected, true);
  if (config_.admission && !config_.admission->admits(call, there, now_)) return gone(s, c.id, TwinStatus::kRejected);
  s.changed = true;
  enter(s, s.waiting, c.id);
  event(s, CallEvent::kArrived, c.id);
}

Blocks Twin::watermark(const TwinStation& s) const {
  return Blocks{static_cast<std::int64_t>(config_.kv->watermark() * static_cast<double>(s.kv->total().value()))};
}

bool Twin::never_fits(const TwinStation& s, const Call& call) const {
  const Tokens reserve = config_.kv->reserve(call, call.prompt, call.prompt);
  const Tokens promise = config_.kv->promise(call, reserve);
  if (config_.kv->contiguous()) return !s.kv->fits_at_all(std::max(reserve, Tokens{call.prompt} + 1_tok));
  auto blocks = [&](Tokens t) { return Blocks{ceil_div(t.value(), block_tokens_.value())}; };
  return blocks(reserve) + watermark(s) > s.kv->total() || blocks(promise) > s.kv->total() ||
         blocks(Tokens{call.prompt} + 1_tok) > s.kv->total();
}

/// Into a queue sorted by (key, number).
void Twin::enter(TwinStation& s, std::vector<CallId>& queue, CallId id) {
  row(id).progress.key = s.order->key(id, row(id).call, row(id).progress, nullptr);
  queue.push_back(id);
  const StationView v = view(s, 0);
  std::stable_sort(queue.begin(), queue.end(), [&](CallId a, CallId b) { return v.before(a, b); });
}

// --- (c) planning ---------------------------------------------------------------------------------------------------

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
  if (s.order->dynamic()) {
    const StationView v = view(s, l);
    std::vector<std::int64_t> keys(s.waiting.size());
    s.order->rank(v, keys);
    for (std::size_t i = 0; i < keys.size(); ++i) row(s.waiting[i]).progress.key = keys[i];
    std::stable_sort(s.waiting.begin(), s.waiting.end(), [&](CallId a, CallId b) { return v.before(a, b); });
  }
  StationView v = view(s, l);
  BatchPlan plan;
  plan.reset(v, *s.batcher);
  s.batcher->plan(v, plan);

  Step step;
  StepShape shape;
  const std::int64_t came = s.kv->came(), went = s.kv->went();
  for (const BatchPlan::Departure& d : plan.leave()) leave(s, lane, d, step, shape);
  for (const BatchPlan::Admission& a : plan.admitted()) s.kv->pin_hit(at(a.call).lease, at(a.call).given, a.cached);
  s.kv->settle();
  for (CallId id : plan.resumed()) {
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
  for (const BatchPlan::Admission& a : plan.admitted()) {
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
    p.computed = p.cached = narrow<Tokens32>(a.cached);
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
  std::vector<ChunkShape> chunks;
  for (const BatchPlan::Chunk& chunk : plan.chunks()) {
    TwinCall& c = at(chunk.call);
    Progress& p = row(chunk.call).progress;
    if (c.context + chunk.q > Tokens{p.reserved}) {
      s.kv->take(c.lease, v.kv.blocks_for(c.context + chunk.q) - v.kv.blocks_for(p.reserved));
      p.reserved = narrow<Tokens32>(c.context + chunk.q);
    }
    chunks.push_back({c.context, chunk.q});
    step.chunks.push_back(chunk);
    const std::int64_t q = chunk.q.value();
    shape.prefill += chunk.q;
    shape.prefill_pairs += q * c.context.value() + q * q / 2;
    shape.outputs += c.context + chunk.q == Tokens{c.given.request.prompt_tokens} + c.emitted;
    note(s, lane, TwinDecision::kChunk, chunk.call, chunk.q);
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
    p.computed = p.cached = Tokens32{};
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

// --- what policies see ----------------------------------------------------------------------------------------------

bool Twin::needs_block(CallId id) {
  if (config_.kv->contiguous() || is_full(id)) return false;
  const Tokens context = at(id).context;
  return context >= row(id).progress.reserved && context % block_tokens_ == Tokens{};
}

/// Has a member used up what it reserved? One that joined with no room left grows block by block, unless it is a run.
bool Twin::reached_reservation(CallId id) {
  const Tokens reserved = row(id).progress.reserved;
  return at(id).context >= reserved && (reserved > at(id).joined_context || config_.kv->contiguous());
}

/// It must leave, to come back with more.
bool Twin::is_full(CallId id) {
  return reached_reservation(id) && config_.kv->regrow(row(id).call, row(id).progress.reserved) > Tokens{};
}

StationView Twin::view(TwinStation& s, int l) {
  const Lane& lane = s.lanes[static_cast<std::size_t>(l)];
  StationView v;
  v.station = StationId{s.index};
  v.now = now_;
  v.lane = l;
  v.lanes = stages_;
  v.rows = rows_;
  v.waiting = s.waiting;
  v.swapped = s.swapped;
  v.prefilling = lane.prefilling;
  v.held = lane.held;
  v.group.id = GroupId{l};
  v.group.clock = lane.clock;
  v.group.size = static_cast<std::int32_t>(lane.members.size());
  v.group.members = lane.members;
  full_.clear();
  for (CallId id : lane.members) {
    const TwinCall& c = at(id);
    v.group.context += c.context;
    v.group.remaining_max += Tokens{c.given.request.max_tokens} - c.emitted;
    if (needs_block(id)) v.group.needed += 1_blk;
    if (is_full(id)) full_.push_back(id);
    if (v.context(id) != c.context || v.emitted(id) != c.emitted) twin_error("a row is out of step with its call");
  }
  if (!lane.members.empty()) v.group.longest = lane.longest_at_zero + Tokens{lane.clock};
  sort_by_number(full_);
  v.full = full_;
  for (const Lane& other : s.lanes)
    v.running += static_cast<std::int32_t>(other.members.size() + other.prefilling.size() + other.held.size());
  v.steps_since_admission = lane.steps_since_admission;
  v.kv.contiguous = config_.kv->contiguous();
  v.kv.block_tokens = block_tokens_;
  v.kv.total = s.kv->total();
  v.kv.free = s.kv->free();
  v.kv.evictable = s.kv->evictable();
  for (const auto& c : calls_)
    if (c->station == s.index) v.kv.promised += v.kv.blocks_for(c->promise);
  v.kv.watermark = watermark(s);
  v.kv.host_free = s.host_free;
  runs_ = s.kv->runs();
  if (v.kv.contiguous) v.kv.runs = &runs_;
  v.kv_policy = config_.kv;
  v.order = s.order;
  if (config_.prefix != TwinPrefix::kNone) v.prefix = &s.cache;
  return v;
}

std::vector<StationLoad> Twin::loads() {
  std::vector<StationLoad> loads(stations_.size());
  for (const auto& c : calls_) {
    if (c->station < 0 || c->row.status != TwinStatus::kInFlight) continue;
    StationLoad& load = loads[static_cast<std::size_t>(c->station)];
    const CallRow& r = rows_[c->id.index];
    ++load.calls;
    load.waiting += r.progress.stage == Stage::kWaiting;
    if (c->row.first_token == kNever) load.prompt_tokens += r.call.prompt;
    load.tokens += r.call.prompt + r.call.predicted_high;
  }
  return loads;
}

void Twin::sort_by_number(std::vector<CallId>& ids) {
  std::sort(ids.begin(), ids.end(), [&](CallId a, CallId b) { return at(a).number() < at(b).number(); });
}

void Twin::event(TwinStation& s, CallEvent::Kind kind, CallId id) {
  const CallEvent e{kind, id, &row(id).call, now_, std::max(at(id).lane, 0)};
  if (s.batcher->wants_events()) s.batcher->on_event(e);
  if (s.order->wants_events()) s.order->on_event(e);
}

void Twin::note(TwinStation& s, const Lane& lane, TwinDecision::Kind kind, CallId id, Tokens tokens) {
  const int l = static_cast<int>(&lane - s.lanes.data());
  result_.decisions.push_back({kind, now_, s.index, l, lane.clock, id.valid() ? at(id).number() : 0, tokens.value()});
}

}  // namespace

TwinResult run_twin(const TwinConfig& config, RequestSource& source) { return Twin(config, source).run(); }

}  // namespace orrery
