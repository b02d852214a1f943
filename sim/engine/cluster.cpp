/// Instances, events and the policy's orders. Journeys of calls: cluster_moves.cpp.
#include "sim/engine/cluster.hpp"

#include <algorithm>

#include "sim/engine/routed.hpp"

namespace orrery {

bool ClusterPolicy::accepts(CallId, StationId to, Tokens context, const Cluster& cluster) const {
  const KvState kv = cluster.kv(to);
  return kv.blocks_for(context + 1_tok) + kv.watermark <= kv.available();
}

ClusterEngine::ClusterEngine(ClusterParts parts, ClusterHost& host, RunContext& run,
                             std::span<const StationLoad> loads)
    : parts_(std::move(parts)), host_(&host), run_(&run), paid_(loads.size()), version_(loads.size()),
      idle_(loads.size(), 1), broken_(loads.size()), hung_(loads.size()), stranded_(loads.size()), hurt_(loads.size()),
      loads_(loads.size()), stands_on_(loads.size()), outbound_(loads.size()), queues_(loads.size()) {
  for (const PoolParts& p : parts_.pools) {
    const PoolId pool{static_cast<std::int32_t>(pools_.size())};
    const auto first = static_cast<std::int32_t>(instances_.size());
    pools_.push_back({.name = p.name, .first = StationId{first}, .count = p.count, .role = p.role,
                      .priority = p.priority, .kv_bytes_per_token = p.kv_bytes_per_token, .layers = p.layers,
                      .tp = p.tp, .pp = p.pp, .max_running = p.max_running, .weight_bytes = p.weight_bytes,
                      .bytes_per_s = p.bytes_per_s, .start_delay = p.start_delay, .on_nodes = p.on_nodes,
                      .cost = p.cost, .lifecycle = p.lifecycle});
    for (std::int32_t i = 0; i < p.count; ++i) {
      Instance x;
      x.station = StationId{first + i};
      x.pool = pool;
      x.role = p.role;
      x.node = p.node_of.empty() ? -1 : p.node_of[static_cast<std::size_t>(i)];
      const bool serves = !p.on_nodes && (p.serving < 0 || i < p.serving);
      x.phase = serves ? Phase::kServing : Phase::kOff;
      x.load = &loads[instances_.size()];
      instances_.push_back(x);
      if (x.phase == Phase::kOff) run_->recorder->on_presence(Time{}, x.station, false);
    }
  }
  placed_.resize(pools_.size());
  add_links();
  if (!parts_.policy) {
    routed_ = std::make_unique<RoutedCluster>(*parts_.router);
    parts_.policy = routed_.get();
  }
  for (std::size_t i = 0; i < parts_.happenings.size(); ++i)
    push(parts_.happenings[i].at, Event::kHappening, i);
  add_nodes();
  if (parts_.policy->tick() > Duration{}) tick_ = Time{} + parts_.policy->tick();
}

LinkId ClusterEngine::add_link(std::int64_t bytes_per_s) {
  if (bytes_per_s <= 0) return {};
  bandwidth_.push_back({.usual = bytes_per_s});
  return fabric_.add_link(bytes_per_s);
}

/// Links with a signal have a limit, whatever else is said of them.
void ClusterEngine::add_links() {
  pair_.resize(pools_.size() * pools_.size());
  latency_.resize(pair_.size());
  std::vector<std::int64_t> network(pools_.size()), linked(pair_.size());
  for (std::size_t i = 0; i < pools_.size(); ++i) network[i] = parts_.pools[i].bytes_per_s;
  for (const LinkParts& l : parts_.links) {
    linked[pair(l.from, l.to)] = l.bytes_per_s;
    latency_[pair(l.from, l.to)] = l.latency;
  }
  for (std::size_t i = 0; i < parts_.bandwidths.size(); ++i) {
    const BandwidthParts& b = parts_.bandwidths[i];
    std::int64_t& limit = b.to.valid() ? linked[pair(b.from, b.to)] : network[static_cast<std::size_t>(b.from.index)];
    limit = std::max<std::int64_t>(1, b.bytes_per_s->at(Time{}));
    if (const Time next = b.bytes_per_s->next(Time{}); next != kNever) push(next, Event::kBandwidth, i);
  }
  for (const Instance& x : instances_)
    for (auto* side : {&out_, &in_}) side->push_back(add_link(network[static_cast<std::size_t>(x.pool.index)]));
  for (std::size_t i = 0; i < pair_.size(); ++i) pair_[i] = add_link(linked[i]);
}

void ClusterEngine::set_bandwidth(LinkId link, std::int64_t usual, std::int64_t per_mille) {
  if (!link.valid()) return;
  bandwidth_[static_cast<std::size_t>(link.index)] = {usual, per_mille};
  const auto now = static_cast<std::int64_t>(static_cast<Wide>(usual) * per_mille / 1000);
  fabric_.set_bandwidth(link, std::max<std::int64_t>(1, now), now_);
}

/// A signal has its next value, of which a degraded network still has only a part.
void ClusterEngine::change_bandwidth(std::size_t signal) {
  const BandwidthParts& b = parts_.bandwidths[signal];
  const std::int64_t value = b.bytes_per_s->at(now_);
  const auto change = [&](LinkId l) {
    set_bandwidth(l, value, bandwidth_[static_cast<std::size_t>(l.index)].per_mille);
  };
  if (b.to.valid()) {
    change(pair_[pair(b.from, b.to)]);
  } else {
    for (const Instance& x : instances(b.from))
      for (const auto* side : {&out_, &in_}) change((*side)[static_cast<std::size_t>(x.station.index)]);
  }
  act("signal", "bandwidth", {}, nullptr, value);
  if (const Time next = b.bytes_per_s->next(now_); next != kNever) push(next, Event::kBandwidth, signal);
}

void ClusterEngine::push(Time at, Event::Kind kind, std::uint64_t what, std::uint32_t version) {
  events_.push({at, pushed_++, kind, what, version});
}

Time ClusterEngine::next() {
  const auto stale = [&](const Event& e) {
    if (e.kind == Event::kArrive) return journeys_[e.what].arrival != e.version;
    return (e.kind == Event::kServe || e.kind == Event::kGone) && version_[e.what] != e.version;
  };
  while (!events_.empty() && stale(events_.top())) events_.pop();
  return std::min(fabric_.next(), events_.empty() ? kNever : events_.top().at);
}

Time ClusterEngine::next_tick() const {
  Time t = tick_;
  for (const ClusterController* c : parts_.controllers) t = std::min(t, c->next());
  return t;
}

/// Transfers first, then the rest in the order in which it was planned, then controllers, then the policy's tick.
void ClusterEngine::run_events(Time now) {
  now_ = now;
  while (next() <= now) {
    if (fabric_.next() <= now) {
      flow_ended(journeys_[fabric_.pop(now)]);
    } else {
      const Event e = events_.top();
      events_.pop();
      handle(e);
    }
  }
  for (ClusterController* c : parts_.controllers) {
    acting_ = c->name();
    while (c->next() <= now) c->run(*this);
  }
  acting_ = "policy";
  if (tick_ <= now) {
    tick_ = now + parts_.policy->tick();
    parts_.policy->on_tick(*this);
  }
  ask_again();
}

void ClusterEngine::handle(const Event& e) {
  const StationId s{static_cast<std::int32_t>(e.what)};
  switch (e.kind) {
    case Event::kArrive: return arrive(journeys_[e.what].id);
    case Event::kServe: return serves(s);
    case Event::kGone: return stop(s, parts_.lost_calls);
    case Event::kDetect:
      if (hung_[e.what] == e.version) stop(s, parts_.lost_calls);
      return;
    case Event::kWake: ask_again(); return parts_.policy->on_tick(*this);
    case Event::kHappening: return happen(parts_.happenings[e.what]);
    case Event::kNodes: return change_nodes(e.what);
    case Event::kBandwidth: return change_bandwidth(e.what);
  }
}

void ClusterEngine::happen(const Happening& h) {
  switch (h.kind) {
    case Happening::kStart: return start(h.station, h.delay, Phase::kProvisioning);
    case Happening::kAnnounce: return announce(h.station, h.delay);
    case Happening::kStop: return stop(h.station, parts_.lost_calls);
    case Happening::kDrain: return drain(h.station);
    case Happening::kUndrain: return undrain(h.station);
    case Happening::kSlow: return slow(h.station, h.per_mille);
    case Happening::kLink: return degrade(h.station, h.per_mille);
  }
}

void ClusterEngine::slow(StationId s, std::int64_t per_mille) {
  host_->station(s).slow_down(per_mille, now_);
  host_->touch(s);
  act(acting_, "slow", s, nullptr, per_mille);
}

void ClusterEngine::degrade(StationId s, std::int64_t per_mille) {
  const auto index = static_cast<std::size_t>(s.index);
  for (const LinkId l : {out_[index], in_[index]})
    if (l.valid()) set_bandwidth(l, bandwidth_[static_cast<std::size_t>(l.index)].usual, per_mille);
  act(acting_, "network", s, nullptr, per_mille);
}

void ClusterEngine::degrade(PoolId from, PoolId to, std::int64_t per_mille) {
  const LinkId l = pair_[pair(from, to)];
  if (l.valid()) set_bandwidth(l, bandwidth_[static_cast<std::size_t>(l.index)].usual, per_mille);
  act(acting_, "link", {}, nullptr, per_mille);
}

/// An instance changes its phase: time is paid for, the policy told, and what waits for an instance is asked about
/// again.
void ClusterEngine::enter(StationId s, Phase phase, std::string_view who, std::optional<Duration> estimate) {
  Instance& x = at(s);
  const Phase before = x.phase;
  if (before == phase) return;
  const auto there = [](Phase p) { return p != Phase::kOff && p != Phase::kGone; };
  if (there(before)) paid_[static_cast<std::size_t>(s.index)] += now_ - x.since;
  if (there(before) != there(phase)) run_->recorder->on_presence(now_, s, there(phase));
  x.phase = phase;
  x.since = now_;
  if (phase != Phase::kAnnounced) x.deadline = kNever;
  if (phase == Phase::kOff || phase == Phase::kGone) hung_[static_cast<std::size_t>(s.index)] = 0;
  if (phase == Phase::kOff || phase == Phase::kGone) vacate(s);
  ++version_[static_cast<std::size_t>(s.index)];
  act(who, name(phase), s, nullptr, 0, estimate);
  something_changed_ = true;
  parts_.policy->on_phase(s, before, *this);
  for (ClusterController* c : parts_.controllers) c->on_phase(s, before, *this);
}

void ClusterEngine::start(StationId s, Duration delay, Phase how) { begin(s, delay, how, Tier::kNone, -1); }

void ClusterEngine::load(StationId s, Duration delay, Tier from, std::int32_t model) {
  begin(s, delay, Phase::kLoading, from, model);
}

void ClusterEngine::begin(StationId s, Duration delay, Phase how, Tier from, std::int32_t model) {
  if ((at(s).phase != Phase::kOff && at(s).phase != Phase::kGone) || broken(s)) return;
  at(s).model = model;
  loads_[static_cast<std::size_t>(s.index)] = {now_, kNever, from};
  enter(s, how, acting_, delay);
  idle_[static_cast<std::size_t>(s.index)] = 1;
  push(now_ + delay, Event::kServe, static_cast<std::uint64_t>(s.index), version_[static_cast<std::size_t>(s.index)]);
}

/// The start of an instance is over; one that loaded weights was a cold start.
void ClusterEngine::serves(StationId s) {
  Load& load = loads_[static_cast<std::size_t>(s.index)];
  load.to = now_;
  if (load.tier != Tier::kNone) {
    all_load_times_.add(to_ps(now_ - load.from));
    load_times_[static_cast<std::size_t>(load.tier)].add(to_ps(now_ - load.from));
  }
  enter(s, Phase::kServing, "engine");
}

ColdStarts ClusterEngine::cold_starts() const {
  const auto times = [](const Histogram& h) {
    return ColdStarts::Times{h.count(), h.mean() * 1e-12, static_cast<double>(h.percentile(99)) * 1e-12};
  };
  ColdStarts out{times(all_load_times_), {}};
  std::transform(load_times_.begin(), load_times_.end(), out.by_tier.begin(), times);
  return out;
}

void ClusterEngine::drain(StationId s) {
  if (at(s).phase != Phase::kServing) return;
  enter(s, Phase::kDraining, acting_);
  if (empty(s)) return enter(s, Phase::kOff, "engine");   // it may be the last thing that happens to it
  idle_[static_cast<std::size_t>(s.index)] = 0;
}

bool ClusterEngine::empty(StationId s) const {
  const auto index = static_cast<std::size_t>(s.index);
  return instances_[index].load->calls == 0 && instances_[index].inbound == 0 && outbound_[index] == 0;
}

void ClusterEngine::undrain(StationId s) {
  if (at(s).phase == Phase::kDraining) enter(s, Phase::kServing, acting_);
}

void ClusterEngine::announce(StationId s, Duration grace) {
  if (!at(s).runs()) return stop(s, parts_.lost_calls);
  at(s).deadline = now_ + grace;
  enter(s, Phase::kAnnounced, "events", grace);
  push(now_ + grace, Event::kGone, static_cast<std::uint64_t>(s.index), version_[static_cast<std::size_t>(s.index)]);
}

void ClusterEngine::stop(StationId s, Move calls) {
  Instance& x = at(s);
  if (x.phase == Phase::kOff || x.phase == Phase::kGone) return;
  std::vector<CallId> lost;
  host_->station(s).kill(now_, lost);
  stop_journeys(s, lost);
  std::vector<CallId> stranded;
  take_stranded(s, stranded);
  enter(s, Phase::kGone, "engine");
  host_->touch(s);
  std::sort(lost.begin(), lost.end(), [&](CallId a, CallId b) { return call(a).number < call(b).number; });
  for (const CallId id : lost)
    if (calls != Move::kCommit || !commit(id)) begin_again(id, calls);
  std::sort(stranded.begin(), stranded.end(), [&](CallId a, CallId b) { return call(a).number < call(b).number; });
  for (const CallId id : stranded) place_again(id);
}

void ClusterEngine::set_role(StationId s, Role role) {
  if (at(s).role == role) return;
  at(s).role = role;
  act("policy", role == Role::kMixed ? "mixed" : role == Role::kPrefill ? "prefill" : "decode", s, nullptr, 0);
  something_changed_ = true;
}

void ClusterEngine::wake(Time when) { push(std::max(when, now_), Event::kWake, 0); }

Duration ClusterEngine::paid(StationId s, Time end) const {
  const Instance& x = instances_[static_cast<std::size_t>(s.index)];
  const bool on = x.phase != Phase::kOff && x.phase != Phase::kGone;
  return paid_[static_cast<std::size_t>(s.index)] + (on ? end - x.since : Duration{});
}

/// What waits for an instance is asked about in the order in which it came, once for all that changed.
void ClusterEngine::ask_again() {
  if (asking_) return;
  asking_ = true;
  while (something_changed_) {
    something_changed_ = false;
    for (auto n = undecided_.size(); n > 0; --n) {
      const CallId id = undecided_.front();
      undecided_.pop_front();
      decide(id);
    }
    for (auto n = held_.size(); n > 0; --n) {
      const CallId id = held_.front();
      held_.pop_front();
      place(id, now_);
    }
  }
  asking_ = false;
}

std::span<const CallId> ClusterEngine::held() const {
  scratch_.assign(held_.begin(), held_.end());
  return scratch_;
}

void ClusterEngine::act(std::string_view who, std::string_view what, StationId s, const Call* call,
                        std::int64_t value, std::optional<Duration> estimate) {
  const std::uint64_t request = call ? call->number : ~std::uint64_t{0};
  std::uint64_t word = static_cast<std::uint64_t>(to_ps(now_)) * kOdd[0] ^ request * kOdd[1] ^
                       static_cast<std::uint64_t>(value) * kOdd[2] ^ static_cast<std::uint64_t>(s.index) * kOdd[3];
  for (const char c : what) word = word * 131 + static_cast<unsigned char>(c);
  hash_ = hash_combine(hash_, word);
  if (parts_.actions) parts_.actions->action({now_, who, what, s, request, value, estimate});
}

std::span<const CallId> ClusterEngine::decoding(StationId s) const {
  host_->station(s).decoding(scratch_);
  return scratch_;
}

Tokens ClusterEngine::context(CallId id) const {
  const StationId s = run_->calls.secret(id).station;
  return s.valid() ? host_->station(s).context_now(id) : Tokens{run_->calls.progress(id).computed};
}

Tokens ClusterEngine::emitted(CallId id) const {
  const StationId s = run_->calls.secret(id).station;
  return s.valid() ? host_->station(s).emitted_now(id) : Tokens{run_->calls.progress(id).emitted};
}

}  // namespace orrery
