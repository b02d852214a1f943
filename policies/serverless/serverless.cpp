#include "policies/serverless/serverless.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, ServerlessConfig& c) {
  d.field("interval", c.interval, {0.001, 3600}, "Time between looks at the calls that wait for a model");
  d.field("concurrency", c.concurrency, {1, 65536}, "Calls that an instance is given at a time");
}

void Serverless::learn(const Cluster& c) {
  if (store_) return;
  store_.emplace(c.servers(), c.pools().front(), cache_);
  slots_.resize(c.instances().size());
}

bool Serverless::free(const Instance& x) const {
  const Slot& s = slot(x.station);
  if (s.lost || s.next_model >= 0) return false;
  const bool blank = x.phase == Phase::kServing && x.model < 0 && x.load->calls == 0;
  return blank || x.phase == Phase::kOff || x.phase == Phase::kGone;
}

bool Serverless::warm(const Instance& x) const {
  return x.takes_calls() && x.model >= 0 && x.load->calls == 0 && x.inbound == 0 && slot(x.station).next_model < 0;
}

bool Serverless::runs_one(const Instance& x) const {
  return x.takes_calls() && x.model >= 0 && x.load->calls == 1 && x.inbound == 0 && slot(x.station).next_model < 0;
}

StationId Serverless::free_on(std::int32_t server, const Cluster& c) const {
  for (const Instance& x : instances(c))
    if (std::max(x.node, 0) == server && free(x)) return x.station;
  return {};
}

Placement Serverless::route(CallId id, Cluster& c, Rng rng) {
  learn(c);
  const std::int32_t model = c.call(id).model;
  const Instance* best = nullptr;
  for (const Instance& x : instances(c)) {
    if (!x.takes_calls() || x.model != model || slot(x.station).next_model >= 0) continue;
    if (x.load->calls + x.inbound < config_.concurrency && (!best || x.load->calls < best->load->calls)) best = &x;
  }
  if (!best) {
    on_hold(id, c, rng);
    look_again(c);
    return Placement::hold();
  }
  slot(best->station).idle_since = kNever;
  on_placed(id, best->station, c);
  return Placement::at(best->station);
}

/// Rounds are at whole intervals, and only while calls wait and there is a device that could be theirs.
void Serverless::look_again(Cluster& c) {
  const auto all = instances(c);
  const bool any = std::any_of(all.begin(), all.end(), [&](const Instance& x) { return !slot(x.station).lost; });
  if (next_round_ != kNever || !any) return;
  next_round_ = Time{} + config_.interval * ((c.now() - Time{}) / config_.interval + 1);
  c.wake(next_round_);
}

void Serverless::on_tick(Cluster& c) {
  learn(c);
  if (next_round_ <= c.now()) {
    next_round_ = kNever;
    round(c);
  }
  expire(c);
}

void Serverless::round(Cluster& c) {
  on_round(c);
  coming_.assign(coming_.size(), 0);
  const auto comes = [&](std::int32_t model) -> std::int32_t& {
    if (coming_.size() <= static_cast<std::size_t>(model)) coming_.resize(static_cast<std::size_t>(model) + 1);
    return coming_[static_cast<std::size_t>(model)];
  };
  for (const Instance& x : instances(c)) {
    const Slot& s = slot(x.station);
    const bool loads = x.phase == Phase::kLoading && x.model >= 0 && !s.moving;
    if (s.next_model >= 0) comes(s.next_model) += config_.concurrency;
    else if (loads) comes(x.model) += config_.concurrency;
  }
  const auto span = c.held();
  const std::vector<CallId> held(span.begin(), span.end());
  for (const CallId id : held) {
    std::int32_t& for_model = comes(c.call(id).model);
    if (for_model > 0) --for_model;
    else if (place_load(id, c)) for_model = config_.concurrency - 1;
  }
  if (!held.empty()) look_again(c);
}

/// Instances whose keep-alive is over leave their device, but for the `min` that stay.
void Serverless::expire(Cluster& c) {
  const Lifecycle& life = c.pools().front().lifecycle;
  const auto all = instances(c);
  auto there = std::count_if(all.begin(), all.end(), [](const Instance& x) { return x.takes_calls() && x.model >= 0; });
  for (const Instance& x : all) {
    const Slot& s = slot(x.station);
    if (there <= life.min) return;
    if (!warm(x) || s.idle_since == kNever || c.now() - s.idle_since < s.keep_alive) continue;
    --there;
    c.drain(x.station);
  }
}

void Serverless::load(StationId s, std::int32_t model, Cluster& c, For whom) {
  if (c.instance(s).takes_calls()) c.drain(s);   // free, and serves no model: off at once
  const WeightStore::Load load = store_->begin(c.instance(s).node, model, c.now());
  const Duration stated = c.pools().front().lifecycle.keep_alive;
  slot(s) = {};
  slot(s).moving = whom == For::kMoving;
  slot(s).keep_alive = std::max(stated >= Duration{} ? stated : load.time, Duration{1});   // calls that wait come first
  c.load(s, load.time, load.tier, model);
}

void Serverless::reserve(StationId s, std::int32_t model, Cluster& c) {
  const bool now = warm(c.instance(s));
  slot(s).next_model = model;
  if (now) c.drain(s);
}

void Serverless::preempt(StationId s, std::int32_t model, Cluster& c) {
  preempting_ = true;
  slot(s).next_model = model;
  c.stop(s, Move::kRecompute);
  preempting_ = false;
  load(s, model, c);
}

void Serverless::idles(StationId s, Cluster& c) {
  slot(s).idle_since = c.now();
  c.wake(c.now() + slot(s).keep_alive);
}

void Serverless::on_idle(StationId s, Cluster& c) {
  learn(c);
  if (c.instance(s).model < 0 || !c.instance(s).takes_calls()) return;
  if (slot(s).next_model >= 0) c.drain(s);
  else idles(s, c);
}

void Serverless::on_phase(StationId s, Phase, Cluster& c) {
  learn(c);
  Slot& mine = slot(s);
  switch (c.instance(s).phase) {
    case Phase::kServing:
      mine.lost = mine.moving = false;
      if (c.instance(s).model < 0) return look_again(c);
      idles(s, c);
      return on_serving(s, c);
    case Phase::kOff:
      if (mine.next_model >= 0) load(s, mine.next_model, c);
      return;
    case Phase::kGone:
      if (!preempting_) mine = {.lost = true};
      return;
    default: return;
  }
}

}  // namespace orrery
