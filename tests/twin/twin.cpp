#include "tests/twin/twin.hpp"

#include <algorithm>

#include "tests/twin/twin_state.hpp"

namespace orrery::twin {

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

}  // namespace orrery::twin

namespace orrery {

TwinResult run_twin(const TwinConfig& config, RequestSource& source) { return twin::Twin(config, source).run(); }

}  // namespace orrery
