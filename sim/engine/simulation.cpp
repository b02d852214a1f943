#include "sim/engine/simulation.hpp"

#include <algorithm>
#include <string>

namespace orrery {

namespace {

constexpr int kEmptyTicks = 100000;   ///< of a cluster policy, before it is taken to wait for nothing

}  // namespace

Simulation::Simulation(SimulationParts parts)
    : parts_(std::move(parts)), loads_(parts_.stations.size()), meter_(*parts_.recorder, *this),
      events_(parts_.stations.size()), is_touched_(parts_.stations.size()) {
  run_.recorder = parts_.recorder;
  run_.decisions = parts_.decisions;
  run_.observers = parts_.observers;
  run_.leaver = this;
  run_.fast_forward = parts_.fast_forward;
  run_.verify_fast_forward = parts_.verify_fast_forward;
  for (std::size_t i = 0; i < parts_.stations.size(); ++i) {
    const StationParts& p = parts_.stations[i];
    p.batcher->on_start(parts_.classes);
    if (p.order) p.order->on_start(parts_.classes), run_.calls.keep_keys();
    stations_.push_back(std::make_unique<Station>(StationId{static_cast<std::int32_t>(i)}, p, run_, loads_[i]));
    prefixes_.push_back(stations_.back()->prefix());
    keeps_paths_ = keeps_paths_ || p.kv.prefix != PrefixKind::kNone || p.executor->wants_journal();
  }
  if (parts_.cluster) {
    cluster_ = std::make_unique<ClusterEngine>(*parts_.cluster, static_cast<ClusterHost&>(*this), run_, loads_);
    run_.mover = cluster_.get();
  }
  if (parts_.charges) {
    int lanes = 1;
    for (const StationParts& p : parts_.stations) lanes = std::max(lanes, p.cost ? p.cost->stages() : 1);
    charges_ = std::make_unique<Charges>(*parts_.charges, stations_.size(), lanes);
    run_.charges = charges_.get();
  }
  run_.metered = parts_.power || parts_.tariff || parts_.charges;
  if (parts_.power) {
    power_ = std::make_unique<PowerEngine>(*parts_.power, meter_, stations_.size());
    run_.steps = power_.get();
  }
  if (parts_.tariff) {
    tariff_ = std::make_unique<Tariff>(*parts_.tariff, meter_, stations_.size());
    tell_prices(Time{});
  }
  seen_ = loads_;
  wants_done_ = parts_.source->wants_done();
  run_.watched = run_.steps || run_.charges || !run_.observers.empty();
  only_stations_ = !cluster_ && !run_.metered && !wants_done_;
  if (parts_.router) staleness_ = parts_.router->staleness();
}

Simulation::~Simulation() = default;

inline Time Simulation::next_instant() {
  Time t = std::min(Time{Duration{events_.min()}}, next_arrival_);
  if (!patience_.empty() || !delayed_.empty()) t = std::min(t, next_of_clients());
  if (cluster_) t = next_of_cluster(t);
  if (run_.metered && t != kNever) t = std::min(t, next_of_meters());
  return t;
}

Time Simulation::next_of_clients() {
  while (!patience_.empty() && !run_.calls.alive(patience_.top().id)) patience_.pop();
  while (!delayed_.empty() && !run_.calls.alive(delayed_.top().id)) delayed_.pop();
  return std::min(delayed_.empty() ? kNever : delayed_.top().ready, patience_.empty() ? kNever : patience_.top().end);
}

/// `t`: the next instant but for the cluster.
Time Simulation::next_of_cluster(Time t) {
  if (t == kNever && run_.calls.in_flight() == 0) return kNever;
  t = std::min(t, cluster_->next());
  if (t == kNever && cluster_->unlock(now_)) return now_;
  empty_ticks_ = t == kNever ? empty_ticks_ + 1 : 0;
  return empty_ticks_ < kEmptyTicks ? std::min(t, cluster_->next_tick()) : t;
}

/// What only looks: it keeps no run alive.
Time Simulation::next_of_meters() const {
  return std::min(power_ ? power_->next() : kNever, tariff_ ? tariff_->next() : kNever);
}

/// What was spent until now costs what held until now; then orders and telemetry.
void Simulation::run_meters(Time now) {
  if (tariff_ && tariff_->next() <= now) {
    tariff_->settle(now);
    tell_prices(now);
  }
  if (power_ && power_->next() <= now) power_->run(now);
}

/// The timeline's money follows the signals.
void Simulation::tell_prices(Time now) {
  for (std::size_t i = 0; i < stations_.size(); ++i)
    if (const StepSignal* price = tariff_->price(i))
      parts_.recorder->on_price(now, stations_[i]->id(), price->at(now));
}

void Simulation::run_cluster(Time now) {
  if (cluster_->next() <= now || cluster_->next_tick() <= now) cluster_->run_events(now);
}

/// What a station settles may send a call to one that has settled already.
void Simulation::settle_touched(Time now) {
  cluster_->take_queued();
  do {
    for (std::size_t i = 0; i < touched_.size(); ++i)   // may touch more
      cluster_->settle(StationId{static_cast<std::int32_t>(touched_[i])}, now);
  } while (cluster_->take_queued());
}

inline void Simulation::plan_touched(Time now) {
  if (touched_.size() > 1) std::sort(touched_.begin(), touched_.end());
  for (const std::size_t s : touched_) {
    is_touched_[s] = 0;
    events_.set(s, to_ps(stations_[s]->plan(now)));
  }
  touched_.clear();
}

/// A call that fails while plans are made leaves room for others: they come, and plans are made again.
void Simulation::settle_and_plan(Time now) {
  settle_touched(now);
  while (!touched_.empty()) {
    if (touched_.size() > 1) std::sort(touched_.begin(), touched_.end());
    planning_.swap(touched_);
    for (const std::size_t s : planning_) {
      const std::int64_t before = left_;
      is_touched_[s] = 0;
      events_.set(s, to_ps(stations_[s]->plan(now)));
      if (left_ != before) touch(s);
    }
    planning_.clear();
    settle_touched(now);
  }
}

/// Most instants: one station goes on, and nothing else happens. False, and nothing done, if it is none of these.
inline bool Simulation::one_goes_on(Time now) {
  if (next_arrival_ == now || !only_stations_ || !patience_.empty() || !delayed_.empty()) return false;
  if (events_.min_of_others() == to_ps(now)) return false;
  const std::size_t s = events_.index();
  events_.set(s, to_ps(stations_[s]->go_on(now)));
  return true;
}

/// All that an instant may bring, in its order.
void Simulation::instant(Time now) {
  while (events_.min() == to_ps(now)) {
    const std::size_t s = events_.index();
    stations_[s]->end_steps(now);
    touch(s);
    events_.set(s, MinTree::kNone);
  }
  if (cluster_) run_cluster(now);
  if (run_.metered) run_meters(now);
  if (!patience_.empty()) deliver_impatience(now);
  if (next_arrival_ == now || !delayed_.empty()) deliver_arrivals(now);
  if (cluster_) settle_and_plan(now);
  else plan_touched(now);
}

Outcome Simulation::run() {
  next_arrival_ = parts_.source->peek();
  for (Time t; (t = next_instant()) != kNever;) {
    if (!parts_.drain && next_arrival_ == kNever) break;
    if (staleness_ > Duration{} && t >= next_snapshot_) snapshot(t);
    run_.came_back = t == now_ && instants_ > 0;
    run_.now = now_ = t;
    if (!one_goes_on(t)) instant(t);
    if ((++instants_ & 1023) == 0) {
      if (parts_.progress) parts_.progress(t, arrived_);
      if (parts_.interrupt && parts_.interrupt->load(std::memory_order_relaxed)) {
        interrupted_ = true;
        break;
      }
    }
  }
  return finish();
}

/// The router's view is the state before the first event at or after each multiple of the staleness.
void Simulation::snapshot(Time now) {
  seen_ = loads_;
  next_snapshot_ = Time{Duration{(to_ps(now) / to_ps(staleness_) + 1) * to_ps(staleness_)}};
}

void Simulation::deliver_arrivals(Time now) {
  while (true) {
    const bool predicted = !delayed_.empty() && delayed_.top().ready == now;
    if (predicted) {
      const CallId id = delayed_.top().id;
      delayed_.pop();
      if (run_.calls.alive(id)) route(id, now);
    } else if (next_arrival_ == now) {
      arriving_ = {};
      parts_.source->pop(arriving_);
      next_arrival_ = parts_.source->peek();
      arrive(arriving_, now);
    } else {
      return;
    }
  }
}

/// Clients that give up, unless they have got their answer.
void Simulation::deliver_impatience(Time now) {
  while (!patience_.empty() && patience_.top().end == now) {
    const Patience p = patience_.top();
    patience_.pop();
    if (!run_.calls.alive(p.id)) continue;
    const auto leaves = [&](CallId c, Tokens undone) { leave_between(c, undone, p.why, now); };
    if (cluster_ && cluster_->cancel(p.id, now, leaves)) continue;
    const StationId at = run_.calls.secret(p.id).station;
    if (!at.valid()) {  // still waits for its prediction, or for its next attempt
      leave_unserved(p.id, p.why, now, false);
      continue;
    }
    stations_[static_cast<std::size_t>(at.index)]->cancel(p.id, p.why, now);
    touch(static_cast<std::size_t>(at.index));
  }
}

/// Cuts a request to the model's context, or says that it cannot be served.
bool Simulation::fits_context(Request& r) {
  const Tokens room = parts_.max_context - r.prompt_tokens;
  if (room < 1_tok) {
    if (parts_.oversize == Oversize::kRefuse)
      throw RequestRefused("request " + std::to_string(r.number) + ": a prompt of " +
                           std::to_string(r.prompt_tokens.value()) + " tokens does not fit the context of " +
                           std::to_string(parts_.max_context.value()));
    if (parts_.oversize == Oversize::kReject) return false;
    r.prompt_tokens = narrow<Tokens32>(parts_.max_context - 1_tok);
    r.segments = {};
  }
  const Tokens left = parts_.max_context - r.prompt_tokens;
  cut_ += room < 1_tok || left < Tokens{r.output_tokens};
  if (left < Tokens{r.max_tokens}) r.max_tokens = narrow<Tokens32>(left);
  r.output_tokens = std::min(r.output_tokens, r.max_tokens);
  return true;
}

void Simulation::arrive(Request& r, Time now) {
  ++arrived_;
  parts_.recorder->on_arrival(now, r);
  const bool fits = fits_context(r);
  const CallId id = run_.calls.add();
  Call& call = run_.calls.call(id);
  call = {.number = r.number, .arrival = now, .deadline = r.deadline, .prompt = r.prompt_tokens,
          .max_tokens = r.max_tokens, .predicted_low = {}, .predicted_high = {}, .session = r.session,
          .tenant = r.tenant, .request_class = r.request_class, .model = r.model, .priority = r.priority,
          .turn = r.turn};
  run_.calls.secret(id).output = r.output_tokens;
  if (charges_) charges_->arrived(id);
  if (keeps_paths_) run_.paths.set(id, r);
  if (!parts_.clients.empty()) remember(id, r);
  for (Observer* o : run_.observers) o->on_asked(id, call, r.output_tokens);
  if (!fits) return leave_unserved(id, Status::kRejected, now);
  if (r.cancel_after < kNever - now) patience_.push({now + r.cancel_after, r.number, Status::kCancelled, id});
  submit(id, now);
}

/// An attempt begins at `at`: now, or after a back-off. It is routed when its prediction is there.
void Simulation::submit(CallId id, Time at) {
  Call& call = run_.calls.call(id);
  call.arrival = at;
  if (!parts_.clients.empty()) {
    const Duration timeout = parts_.clients[call.request_class].timeout;
    if (timeout < kNever - at) patience_.push({at + timeout, call.number, Status::kTimedOut, id});
  }
  const Time ready = parts_.predictor ? at + predicted(id) : at;
  const bool first = run_.jobs.empty() || run_.jobs[id.index].attempts == 1;
  if (first && ready == now_) route(id, now_);
  else delayed_.push({ready, call.number, id});
}

/// Asks the length predictor; how long that takes.
Duration Simulation::predicted(CallId id) {
  Call& call = run_.calls.call(id);
  const Rng rng(parts_.seed, Purpose::kPredictor, call.number);   // the same text, the same guess
  const Prediction p = parts_.predictor->predict(call, run_.calls.secret(id).output, rng);
  call.predicted_low = p.low;
  call.predicted_high = p.high;
  return p.cost;
}

void Simulation::remember(CallId id, const Request& r) {
  if (run_.jobs.size() <= id.index) run_.jobs.resize(id.index + std::size_t{1});
  const Time gives_up = r.cancel_after < kNever - now_ ? now_ + r.cancel_after : kNever;
  run_.jobs[id.index] = {.asked = now_, .gives_up = gives_up, .attempts = 1};
}

bool Simulation::tries_again(CallId id, Status status) const {
  if (run_.jobs.empty() || (status != Status::kTimedOut && status != Status::kRejected)) return false;
  const ClientJob& job = run_.jobs[id.index];
  return job.attempts <= parts_.clients[run_.calls.call(id).request_class].retries && job.gives_up > now_;
}

void Simulation::try_again(CallId id, const Row& attempt, Time now) {
  run_.rows_hash = fold(run_.rows_hash, attempt);
  run_.recorder->on_attempt(attempt);
  const ClientRule& rule = parts_.clients[run_.calls.call(id).request_class];
  ClientJob& job = run_.jobs[id.index];
  if (cluster_) cluster_->left(id, now);
  const CallId next = run_.calls.renew(id);
  ++job.attempts;
  for (Observer* o : run_.observers) o->on_anew(id, next);
  if (job.gives_up != kNever) patience_.push({job.gives_up, attempt.number, Status::kCancelled, next});
  submit(next, now + rule.wait_before(job.attempts));
}

void Simulation::route(CallId id, Time now) {
  if (cluster_) return cluster_->place(id, now);
  std::size_t target = 0;
  if (parts_.router && stations_.size() > 1) {
    const Call& call = run_.calls.call(id);
    const ClusterView view{now, staleness_ > Duration{} ? seen_ : loads_, prefixes_, routed_};
    const std::uint64_t draw = run_.retries(id) == 0 ? call.number : hash_combine(call.number, run_.retries(id));
    const StationId to = parts_.router->route(call, id, view, Rng(parts_.seed, Purpose::kRouter, draw));
    if (!to.valid() || to.index >= static_cast<std::int32_t>(stations_.size()))
      throw EngineError("the router sent request " + std::to_string(call.number) + " to station " +
                        std::to_string(to.index) + " of " + std::to_string(stations_.size()));
    target = static_cast<std::size_t>(to.index);
    route_hash_ = hash_combine(route_hash_, call.number * 65536 + target);
  }
  ++routed_;
  const StationId to{static_cast<std::int32_t>(target)};
  if (fits(id, to, now) && admits(id, to, now)) send(id, to, now);
}

/// Does the service take an arriving call? If not, it has left.
bool Simulation::admits(CallId id, StationId to, Time now) {
  const StationLoad& load = loads_[static_cast<std::size_t>(to.index)];
  if (!parts_.admission || parts_.admission->admits(run_.calls.call(id), load, now)) return true;
  run_.calls.secret(id).station = to;
  leave_unserved(id, Status::kRejected, now, false);
  return false;
}

/// Could an empty station hold it? If not, it has left.
bool Simulation::fits(CallId id, StationId to, Time now) {
  const Station& station = this->station(to);
  run_.calls.secret(id).station = to;
  if (station.accepts(id)) return true;
  if (parts_.oversize == Oversize::kRefuse)
    throw RequestRefused("request " + std::to_string(run_.calls.call(id).number) + ": " +
                         std::to_string(run_.calls.call(id).prompt.value()) +
                         " prompt tokens do not fit the KV memory of " +
                         std::to_string(station.ledger().config().total.value()) + " blocks");
  if (run_.calls.progress(id).emitted > Tokens32{}) leave_between(id, Tokens{}, Status::kFailed, now);
  else leave_unserved(id, Status::kRejected, now);
  return false;
}

void Simulation::send(CallId id, StationId to, Time now) {
  run_.calls.secret(id).station = to;
  station(to).enqueue(id, now);
  touch(to);
}

/// A call leaves that is at no instance, or on its way between two.
void Simulation::leave_between(CallId id, Tokens undone, Status status, Time now) {
  const Call& call = run_.calls.call(id);
  const CallSecret& s = run_.calls.secret(id);
  const Progress& p = run_.calls.progress(id);
  run_.recorder->on_departure(Leave::kFail, undone);
  Row row{.number = call.number, .arrival = run_.asked(id), .first_schedule = s.first_schedule,
          .first_token = s.first_token, .finish = now, .prompt = call.prompt, .output = p.emitted,
          .cached = run_.calls.hits(id).first, .computed = {}, .station = s.first_station, .session = call.session,
          .tenant = call.tenant, .request_class = call.request_class, .model = call.model,
          .preemptions = p.preemptions, .retries = run_.retries(id), .status = status};
  cluster_->complete_row(row, id);
  left(id, row, now);
}

/// `for_good`: another attempt would end alike.
void Simulation::leave_unserved(CallId id, Status status, Time now, bool for_good) {
  const Call& call = run_.calls.call(id);
  Row row{.number = call.number, .arrival = run_.asked(id), .finish = now, .prompt = call.prompt, .output = {},
          .cached = {}, .computed = {}, .station = {}, .session = call.session, .tenant = call.tenant,
          .request_class = call.request_class, .model = call.model, .retries = run_.retries(id), .status = status};
  if (for_good) leave(id, row, now);
  else left(id, row, now);
}

/// An attempt has ended: its client tries again, or the request leaves.
void Simulation::left(CallId id, const Row& row, Time now) {
  if (tries_again(id, row.status)) try_again(id, row, now);
  else leave(id, row, now);
}

void Simulation::write(CallId id, const Row& row) {
  if (run_.observers.empty() && !run_.charges) [[likely]] return run_.row(row);
  Row seen = row;   // they add to it
  if (charges_) charges_->complete(id, seen);
  for (Observer* o : run_.observers) o->on_left(id, seen);
  run_.row(seen);
}

void Simulation::leave(CallId id, const Row& row, Time now) {
  write(id, row);
  ++left_;
  if (cluster_) cluster_->left(id, now);
  if (!wants_done_) return run_.calls.remove(id);
  const Call& call = run_.calls.call(id);
  const CallSecret& s = run_.calls.secret(id);
  Request done;
  done.number = call.number;
  done.arrival = row.arrival;
  done.prompt_tokens = call.prompt;
  done.output_tokens = s.output;
  done.max_tokens = call.max_tokens;
  done.session = call.session;
  done.turn = call.turn;
  done.tenant = call.tenant;
  run_.calls.remove(id);
  parts_.source->on_done(done, now);
  next_arrival_ = parts_.source->peek();
}

void Simulation::check_nobody_waits_forever() const {
  if (interrupted_ || !parts_.drain || run_.calls.in_flight() == 0 || (cluster_ && cluster_->starved())) return;
  std::uint64_t first = ~std::uint64_t{0};
  std::int32_t station = -1;
  run_.calls.for_each_alive([&](CallId id) {
    if (run_.calls.call(id).number >= first) return;
    first = run_.calls.call(id).number;
    station = run_.calls.secret(id).station.index;
  });
  if (station < 0)
    throw EngineError("nothing can run any more at " + std::to_string(to_seconds(now_)) + " s: " +
                      std::to_string(run_.calls.in_flight()) +
                      " calls are held by the cluster policy, the first is request " + std::to_string(first));
  const KvLedger& kv = stations_[static_cast<std::size_t>(station)]->ledger();
  throw EngineError("nothing can run any more at " + std::to_string(to_seconds(now_)) + " s: " +
                    std::to_string(run_.calls.in_flight()) + " calls wait, the first is request " +
                    std::to_string(first) + " at station " + std::to_string(station) + " with " +
                    std::to_string(kv.available().value()) + " of " +
                    std::to_string(kv.config().total.value()) + " KV blocks free");
}

/// Money: by the signal that prices it, else by its constant price.
StationResult Simulation::result_of(std::size_t station) const {
  const StationId s{static_cast<std::int32_t>(station)};
  StationResult r;
  r.present = present(s, now_);
  const CostModel* cost = parts_.stations[station].cost;
  r.busy = Duration{parts_.recorder->busy(s) / (cost ? cost->stages() : 1)};
  r.joules = static_cast<double>(parts_.recorder->energy(s, r.present, 0, 0)) * 1e-15;
  if (tariff_) r.usd = tariff_->usd(station);
  if (tariff_ && tariff_->has_carbon()) r.grams = tariff_->grams(station);
  const auto& prices = parts_.charges->price;
  if (r.usd < 0 && !prices.empty() && prices[station])
    r.usd = Spend{.money = static_cast<Wide>(prices[station]->at(Time{})) * to_ps(r.present)}.usd();
  return r;
}

Outcome Simulation::finish() {
  check_nobody_waits_forever();
  std::vector<CallId> open;
  run_.calls.for_each_alive([&](CallId id) { open.push_back(id); });
  std::sort(open.begin(), open.end(),
            [&](CallId a, CallId b) { return run_.calls.call(a).number < run_.calls.call(b).number; });
  for (CallId id : open) {
    const Call& call = run_.calls.call(id);
    const CallSecret& s = run_.calls.secret(id);
    const Progress& p = run_.calls.progress(id);
    const Station* at = s.station.valid() ? stations_[static_cast<std::size_t>(s.station.index)].get() : nullptr;
    const Tokens context = at ? at->context(id) : Tokens{p.computed};
    Row row{.number = call.number, .arrival = run_.asked(id), .first_schedule = s.first_schedule,
            .first_token = s.first_token, .prompt = call.prompt,
            .output = at ? narrow<Tokens32>(at->emitted(id)) : p.emitted, .cached = run_.calls.hits(id).first,
            .computed = narrow<Tokens32>(context - run_.calls.cached(id)), .station = s.first_station,
            .session = call.session,
            .tenant = call.tenant, .request_class = call.request_class, .model = call.model,
            .preemptions = p.preemptions, .retries = run_.retries(id), .status = Status::kInFlight};
    if (cluster_) cluster_->complete_row(row, id);
    write(id, row);
  }
  RunEnd end{.end = now_, .stations = {}};
  Outcome out;
  out.fingerprint = hash_combine(run_.rows_hash, route_hash_);
  out.decisions = route_hash_;
  for (const auto& s : stations_) {
    end.stations.push_back(s->ledger().end());
    end.stations.back().idle = open.empty();
    end.stations.back().token_bytes = s->kv_bytes_per_token();
    out.iterations += s->iterations();
    out.fingerprint = hash_combine(out.fingerprint, s->decisions_hash());
    out.decisions = hash_combine(out.decisions, s->decisions_hash());
  }
  out.fingerprint = hash_combine(hash_combine(out.fingerprint, static_cast<std::uint64_t>(to_ps(now_))),
                                 static_cast<std::uint64_t>(out.iterations));
  if (cluster_) {
    out.fingerprint = hash_combine(out.fingerprint, cluster_->hash());
    for (const auto& s : stations_) end.paid.push_back(cluster_->paid(s->id(), now_));
    out.paid = end.paid;
    out.nodes_paid = end.nodes = cluster_->paid_nodes(now_);
    out.migrations = cluster_->migrations();
    out.cold_starts = cluster_->cold_starts();
    out.downtime = cluster_->downtime();
    out.longest_downtime = cluster_->longest_downtime();
    out.bytes_moved = static_cast<double>(cluster_->bytes_sent());
  }
  if (power_) {
    out.fingerprint = hash_combine(out.fingerprint, power_->hash());
    end.rows = power_->rows(now_);
    out.power = power_->finish(now_);
  }
  if (tariff_) {
    tariff_->finish(now_);
    for (std::size_t i = 0; i < stations_.size(); ++i) end.usd.push_back(tariff_->usd(i));
    if (tariff_->has_carbon()) out.grams = tariff_->grams();
  }
  if (charges_) {
    out.charges = end.charges = charges_->finish();
    for (const auto& s : stations_) end.told_ahead += s->told_ahead();
    for (std::size_t i = 0; i < stations_.size(); ++i) out.stations.push_back(result_of(i));
  }
  out.summary = parts_.recorder->finish(end);
  out.events = instants_;
  out.cut = cut_;
  out.interrupted = interrupted_;
  return out;
}

}  // namespace orrery
