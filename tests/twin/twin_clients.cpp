// (b) Clients give up and try again, requests arrive and are routed.
#include <algorithm>

#include "tests/twin/twin_state.hpp"

namespace orrery::twin {

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
  keys_.push_back(0);
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
  keys_[id.index] = s.order->key(id, row(id).call, row(id).progress, nullptr);
  queue.push_back(id);
  const StationView v = view(s, 0);
  std::stable_sort(queue.begin(), queue.end(), [&](CallId a, CallId b) { return v.before(a, b); });
}

}  // namespace orrery::twin
