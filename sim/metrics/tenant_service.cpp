#include "sim/metrics/tenant_service.hpp"

#include <algorithm>
#include <cstdlib>

namespace orrery {
namespace {

constexpr std::int64_t kOutput = 2;   ///< units an output token; a prompt token is one

std::int64_t tick_of(Time t) { return to_ps(t) / to_ps(TenantMeter::kTick); }

}  // namespace

TenantMeter::Tick& TenantMeter::tick(std::int64_t index) {
  while (ticks() <= index)
    ticks_.push_back({std::vector<std::int64_t>(counted_.size()), std::vector<std::int64_t>(counted_.size())});
  return ticks_[static_cast<std::size_t>(index)];
}

void TenantMeter::on_asked(CallId, const Call& call, Tokens32 output) {
  last_arrival_ = tick_of(call.arrival);
  tick(last_arrival_).demand[call.tenant] += call.prompt.value() + kOutput * std::int64_t{output.value()};
}

void TenantMeter::on_token(CallId, const Call& call, bool first, Time now) {
  tick(tick_of(now)).service[call.tenant] += kOutput + (first ? call.prompt.value() : 0);
}

void TenantMeter::on_tokens(std::span<const CallId> members, std::span<const CallRow> rows, const TokenRun& run) {
  std::int64_t done = 0;
  for (std::int64_t at = tick_of(run.first); done < run.k; ++at) {
    const std::int64_t until = run.before(Time{kTick * (at + 1)});
    if (until == done) continue;
    Tick& t = tick(at);
    for (CallId id : members) t.service[rows[id.index].call.tenant] += kOutput * (until - done);
    done = until;
  }
}

void TenantMeter::add_up(const Tick& from, Tick& to) const {
  for (std::size_t i = 0; i < counted_.size(); ++i) {
    to.service[i] += from.service[i];
    to.demand[i] += from.demand[i];
  }
}

double TenantMeter::difference(const Tick& w) const {
  std::int64_t most = 0, sum = 0;
  for (std::size_t i = 0; i < counted_.size(); ++i)
    if (counted_[i]) most = std::max(most, w.service[i]);
  for (std::size_t i = 0; i < counted_.size(); ++i)
    if (counted_[i]) sum += std::min(most - w.service[i], std::abs(w.demand[i] - w.service[i]));
  return static_cast<double>(sum) / (to_seconds(kTick) * static_cast<double>(kTicksOfWindow));
}

TenantService TenantMeter::finish() const {
  const Tick none{std::vector<std::int64_t>(counted_.size()), std::vector<std::int64_t>(counted_.size())};
  TenantService s;
  Tick all = none, window = none;
  double differences = 0;
  for (std::int64_t i = 0; i < ticks(); ++i) {
    const Tick& t = ticks_[static_cast<std::size_t>(i)];
    add_up(t, all);
    if (i > last_arrival_) continue;
    std::int64_t most = 0, least = -1;
    for (std::size_t k = 0; k < counted_.size(); ++k) {
      if (!counted_[k]) continue;
      most = std::max(most, all.service[k]);
      least = least < 0 ? all.service[k] : std::min(least, all.service[k]);
    }
    s.gap_end = most - std::max<std::int64_t>(least, 0);
    s.gap_max = std::max(s.gap_max, s.gap_end);
    add_up(t, window);
    if ((i + 1) % kTicksOfWindow != 0) continue;
    const double d = difference(window);
    differences += d;
    s.difference_max = std::max(s.difference_max, d);
    ++s.windows;
    window = none;
  }
  if (s.windows > 0) s.difference_mean = differences / static_cast<double>(s.windows);
  s.service = all.service;
  s.demand = all.demand;
  return s;
}

}  // namespace orrery
