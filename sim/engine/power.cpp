#include "sim/engine/power.hpp"

#include <algorithm>

namespace orrery {

void LargestRise::add(Time now, std::int64_t value) {
  while (!rising_.empty() && now - rising_.front().at > span_) rising_.pop_front();
  while (!rising_.empty() && rising_.back().value >= value) rising_.pop_back();
  rising_.push_back({now, value});
  most_ = std::max(most_, value - rising_.front().value);
}

PowerDomain::PowerDomain(PowerDomainParts parts, const Meter& meter, ActionSink* actions)
    : parts_(std::move(parts)), meter_(&meter), actions_(actions), sample_(Time{} + parts_.telemetry),
      clock_(parts_.members.size()) {}

Time PowerDomain::next_order() const {
  Time t = kNever;
  for (const Order& o : orders_) t = std::min(t, o.at);
  return t;
}

/// Of what is in a server besides its devices, which have spent `devices` fJ.
Wide PowerDomain::rest(const PowerMember& m, Wide devices, Time now) const {
  return static_cast<Wide>(m.base_mw) * to_ps(meter_->present(m.station, now)) + devices * m.per_mille / 1000;
}

Wide PowerDomain::energy(Time now, bool told) const {
  Wide sum = parts_.others ? parts_.others->integral(Time{}, now) : Wide{0};
  for (const PowerMember& m : parts_.members) {
    const Wide devices = told ? meter_->told(m.station, now) : meter_->energy(m.station, now);
    sum += devices + rest(m, devices, now);
  }
  return sum;
}

void PowerDomain::run(Time now) {
  now_ = now;
  while (next_order() <= now) {   // in order of time, those of one instant as they were given
    const auto first =
        std::min_element(orders_.begin(), orders_.end(), [](const Order& a, const Order& b) { return a.at < b.at; });
    const Order o = *first;
    orders_.erase(first);
    carry_out(o);
  }
  if (sample_ <= now) sample(now);
}

void PowerDomain::sample(Time now) {
  const Wide until_now = energy(now, false);
  const auto mean = static_cast<std::int64_t>((until_now - energy_) / to_ps(now - sampled_));
  sampled_sum_ += until_now - energy_;
  energy_ = until_now;
  sampled_ = now;
  sample_ = now + parts_.telemetry;
  ++samples_;
  peak_ = std::max(peak_, mean);
  if (now - parts_.telemetry >= Time{} + parts_.rises_from) {
    rise_5s_.add(now, mean);
    rise_40s_.add(now, mean);
  }
  const PowerSample s{.now = now, .milliwatts = mean, .budget = parts_.budget_mw, .braked = brake_on_ || was_braked_};
  was_braked_ = brake_on_;
  parts_.policy->on_sample(s, *this);
}

void PowerDomain::set_clock(ServerPriority p, int megahertz) {
  int& last = ordered_[static_cast<std::size_t>(p)];
  if (last == megahertz) return;
  last = megahertz;
  orders_.push_back({now_ + parts_.cap_delay, Order::kClock, p, megahertz});
  act(p == ServerPriority::kLow ? "order-low" : "order-high", megahertz, parts_.cap_delay);
}

void PowerDomain::brake(bool on) {
  if (brake_ordered_ == on) return;
  brake_ordered_ = on;
  orders_.push_back({now_ + parts_.brake_delay, on ? Order::kBrake : Order::kRelease});
  act(on ? "order-brake" : "order-release", 0, parts_.brake_delay);
}

void PowerDomain::carry_out(const Order& o) {
  if (o.kind == Order::kClock) {
    in_force_[static_cast<std::size_t>(o.priority)] = o.megahertz;
    caps_ += o.megahertz != 0;
    act(o.priority == ServerPriority::kLow ? "clock-low" : "clock-high", o.megahertz);
  } else {
    const bool on = o.kind == Order::kBrake;
    if (on) ++brakes_, braked_since_ = now_;
    else braked_ += now_ - braked_since_;
    brake_on_ = on;
    was_braked_ = true;
    act(on ? "brake" : "release", on ? parts_.policy->brake_clock() : 0);
  }
  apply();
}

/// The clocks that are in force, at stations where they are not yet.
void PowerDomain::apply() {
  const auto capped = [&] { return std::any_of(clock_.begin(), clock_.end(), [](int c) { return c != 0; }); };
  const bool before = capped();
  for (std::size_t i = 0; i < parts_.members.size(); ++i) {
    const PowerMember& m = parts_.members[i];
    const int clock = brake_on_ ? parts_.policy->brake_clock() : in_force(m.priority);
    if (clock_[i] == clock) continue;
    clock_[i] = clock;
    const auto c =
        std::find_if(m.clocks.begin(), m.clocks.end(), [&](const ClockParts& x) { return x.megahertz == clock; });
    if (c == m.clocks.end())
      throw EngineError("power policy of " + parts_.name + ": orders " + std::to_string(clock) +
                        " MHz, which it did not name");
    meter_->host().station(m.station).set_clock(c->executor, c->cost, now_);
    meter_->host().touch(m.station);
  }
  if (!before && capped()) capped_since_ = now_;
  if (before && !capped()) capped_ += now_ - capped_since_;
}

void PowerDomain::on_step(std::size_t member, std::int64_t milliwatts) {
  const PowerMember& m = parts_.members[member];
  server_peak_ = std::max(server_peak_, m.base_mw + milliwatts + milliwatts * m.per_mille / 1000);
}

void PowerDomain::act(std::string_view what, std::int64_t value, std::optional<Duration> estimate) {
  std::uint64_t word = static_cast<std::uint64_t>(to_ps(now_)) * kOdd[0] ^ static_cast<std::uint64_t>(value) * kOdd[1];
  for (const char c : what) word = word * 131 + static_cast<unsigned char>(c);
  hash_ = hash_combine(hash_, word);
  if (actions_) actions_->action({now_, "power", what, StationId{}, ~std::uint64_t{0}, value, estimate});
}

PowerResult PowerDomain::finish(Time end) {
  now_ = end;
  const auto watts = [](auto milliwatts) { return static_cast<double>(milliwatts) * 1e-3; };
  PowerResult r;
  r.name = parts_.name;
  r.budget_w = watts(parts_.budget_mw);
  r.mean_w = end > Time{} ? watts(energy(end, true) / to_ps(end)) : 0;
  r.peak_w = samples_ > 0 ? watts(peak_) : r.mean_w;
  r.rise_5s_w = watts(rise_5s_.value());
  r.rise_40s_w = watts(rise_40s_.value());
  r.server_peak_w = watts(server_peak_);
  r.samples = samples_;
  r.brakes = brakes_;
  r.caps = caps_;
  const bool capped = std::any_of(clock_.begin(), clock_.end(), [](int c) { return c != 0; });
  r.capped_s = to_seconds(capped_ + (capped ? end - capped_since_ : Duration{}));
  r.braked_s = to_seconds(braked_ + (brake_on_ ? end - braked_since_ : Duration{}));
  return r;
}

RunEnd::Row PowerDomain::row(Time end) const {
  RunEnd::Row row;
  row.name = parts_.name;
  row.sampled = sampled_sum_ + energy(end, true) - energy_;
  row.rest = parts_.others ? parts_.others->integral(Time{}, end) : Wide{0};
  for (const PowerMember& m : parts_.members) {
    row.stations.push_back(m.station);
    row.rest += rest(m, meter_->told(m.station, end), end);
  }
  return row;
}

PowerEngine::PowerEngine(const PowerParts& parts, const Meter& meter, std::size_t stations) : place_(stations) {
  domains_.reserve(parts.domains.size());
  for (const PowerDomainParts& d : parts.domains) {
    for (std::size_t i = 0; i < d.members.size(); ++i)
      place_[static_cast<std::size_t>(d.members[i].station.index)] = {static_cast<std::int32_t>(domains_.size()),
                                                                     static_cast<std::int32_t>(i)};
    domains_.emplace_back(d, meter, parts.actions);
  }
}

Time PowerEngine::next() const {
  Time t = kNever;
  for (const PowerDomain& d : domains_) t = std::min(t, d.next());
  return t;
}

void PowerEngine::run(Time now) {
  for (PowerDomain& d : domains_)
    if (d.next() <= now) d.run(now);
}

/// Energy over time of an affine run is monotone in the iteration, so its largest value is at an end.
void PowerEngine::on_step(StationId station, const StepRun& run, std::int64_t k) {
  const Place p = place_[static_cast<std::size_t>(station.index)];
  if (p.domain < 0) return;
  for (const std::int64_t j : {std::int64_t{0}, k - 1}) {
    const std::int64_t time = to_ps(run.at(j));
    if (time <= 0) continue;
    const Wide energy = run.e_first.value() + static_cast<Wide>(run.e_step.value()) * j;   // 1 nJ / ps is 1e6 mW
    domains_[static_cast<std::size_t>(p.domain)].on_step(static_cast<std::size_t>(p.member),
                                                        static_cast<std::int64_t>(energy * 1'000'000 / time));
  }
}

std::vector<PowerResult> PowerEngine::finish(Time end) {
  std::vector<PowerResult> out;
  for (PowerDomain& d : domains_) out.push_back(d.finish(end));
  return out;
}

std::vector<RunEnd::Row> PowerEngine::rows(Time end) const {
  std::vector<RunEnd::Row> out;
  for (const PowerDomain& d : domains_) out.push_back(d.row(end));
  return out;
}

std::uint64_t PowerEngine::hash() const {
  std::uint64_t h = 0;
  for (const PowerDomain& d : domains_) h = hash_combine(h, d.hash());
  return h;
}

}  // namespace orrery
