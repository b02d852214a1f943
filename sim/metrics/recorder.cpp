#include "sim/metrics/recorder.hpp"

#include <limits>
#include <numeric>
#include <utility>

#include "sim/metrics/verdict.hpp"

namespace orrery {
namespace {

constexpr std::size_t kEpochs = 32;
constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

double ratio(double a, double b) { return b != 0 ? a / b : 0; }
double ps_to_s(Wide ps) { return static_cast<double>(ps) * 1e-12; }

Quantiles quantiles(const Histogram& h) {
  auto at = [&](double p) { return static_cast<double>(h.percentile(p)) * 1e-12; };
  return {h.mean() * 1e-12, at(50), at(90), at(95), at(99), static_cast<double>(h.max()) * 1e-12, h.count()};
}

Experience experience(const Histogram& h) {
  auto at = [&](double p) { return static_cast<double>(h.percentile(p)) * 1e-9; };
  return {h.mean() * 1e-9, at(10), at(50), static_cast<double>(h.min()) * 1e-9, h.count()};
}

SlowFirstTokens slow_first_tokens(const TtftParts& parts) {
  const TtftParts::Sums s = parts.around(99);
  const auto mean = [&](Wide sum) { return ratio(ps_to_s(sum), static_cast<double>(s.count)); };
  SlowFirstTokens out{s.count, ps_to_s(s.low), ps_to_s(s.high), mean(s.total)};
  out.retries = mean(s.retries);
  out.queue = mean(s.queue());
  out.load = mean(s.load);
  out.set_back = mean(s.set_back);
  out.prefill = mean(s.prefill());
  out.prompt_tokens = ratio(static_cast<double>(s.computed), static_cast<double>(s.count));
  return out;
}

}  // namespace

Recorder::Recorder(RecorderConfig config) : config_(std::move(config)) {
  if (config_.timeline) timeline_ = std::make_unique<Timeline>(*config_.timeline, config_.stations, config_.stages);
  stations_.resize(static_cast<std::size_t>(config_.stations));
  if (config_.specs.empty())
    config_.specs.assign(stations_.size(),
                         {config_.block_tokens, config_.blocks, config_.stages, config_.peak_flops, config_.peak_bytes,
                          config_.cost, config_.idle_milliwatts,
                          config_.usd_per_hour / static_cast<double>(config_.stations)});
  for (std::size_t i = 0; i < stations_.size(); ++i)
    stations_[i].kind = times_.kind_of({spec(i).peak_flops, spec(i).peak_bytes, spec(i).stages, spec(i).cost});
  paid_.resize(stations_.size());
  for (std::size_t i = 0; i < paid_.size() && config_.usd_per_node_hour == 0; ++i)
    paid_[i].price = static_cast<std::int64_t>(spec(i).usd_per_hour * 1e9);
  service_.resize(static_cast<std::size_t>(config_.classes));
  limits_.resize(static_cast<std::size_t>(config_.classes), {kNoLimit, kNoLimit, kNoLimit, kNoLimit});
  for (const SloLimit& slo : config_.slo)
    for (std::size_t c = 0; c < limits_.size(); ++c) {
      if (slo.request_class >= 0 && static_cast<std::size_t>(slo.request_class) != c) continue;
      auto tighten = [&](std::int64_t& limit) { limit = std::min(limit, to_ps(slo.limit)); };
      if (slo.metric == Metric::kTtft) tighten(limits_[c].ttft);
      if (slo.metric == Metric::kTpot) tighten(limits_[c].tpot);
      if (slo.metric == Metric::kE2e) tighten(limits_[c].e2e);
      if (slo.metric == Metric::kQueue) tighten(limits_[c].queue);
    }
  warming_ = config_.warmup && *config_.warmup > Duration{};
  push_epoch(Time{});
}

Recorder::~Recorder() = default;

Recorder::Epoch::Epoch(Time start, Wide waited, int n, bool exact) : begin(start), area(waited), itl(exact) {
  for (int c = 0; c < n; ++c) classes.emplace_back(exact);
}

Recorder::Rates& Recorder::Rates::operator+=(const Rates& o) {
  completed += o.completed;
  prompt += o.prompt;
  cached += o.cached;
  output += o.output;
  return *this;
}

void Recorder::PerClass::merge(const PerClass& o) {
  ttft.merge(o.ttft);
  tpot.merge(o.tpot);
  e2e.merge(o.e2e);
  queue.merge(o.queue);
  qoe.merge(o.qoe);
  parts.merge(o.parts);
  arrived += o.arrived;
  good += o.good;
  retries += o.retries;
  for (std::size_t i = 0; i < statuses.size(); ++i) statuses[i] += o.statuses[i];
}

void Recorder::Epoch::merge(const Epoch& o) {
  itl.merge(o.itl);
  rates += o.rates;
  for (std::size_t c = 0; c < classes.size(); ++c) classes[c].merge(o.classes[c]);
}

Recorder::Epoch& Recorder::older_epoch(Time t) {
  std::size_t i = epochs_.size() - 1;
  while (i > 0 && epochs_[i]->begin >= t) --i;
  return *epochs_[i];
}

void Recorder::push_epoch(Time begin) {
  wait(begin, 0);
  epochs_.push_back(std::make_unique<Epoch>(begin, waiting_area_, config_.classes, config_.exact));
  epoch_ = epochs_.back().get();
  epoch_arrivals_ = 0;
}

/// The newest epoch is full, or a warm-up may have ended. Called at the first arrival of an instant.
void Recorder::rotate(Time now) {
  if (warming_) {
    if (now - Time{} < *config_.warmup) return;
    warming_ = false;
    measured_ = epochs_.size();
  } else if (epochs_.size() - measured_ == kEpochs) {
    for (std::size_t i = 0; i < kEpochs / 2; ++i) {
      auto& kept = epochs_[measured_ + i] = std::move(epochs_[measured_ + 2 * i]);
      kept->merge(*epochs_[measured_ + 2 * i + 1]);
    }
    epochs_.resize(measured_ + kEpochs / 2);
    epoch_size_ *= 2;
  }
  push_epoch(now);
}

void Recorder::on_step(StationId station, int lane, Time start, Time end, std::int64_t k, const StepShape& shape,
                       const BatchPlan::Padding& padding, const StepRun& run) {
  const std::int64_t prompt = (shape.prefill - padding.prefill).value();
  computed_ += prompt + (shape.decodes - padding.decodes).value() * k;
  padded_ += padding.prefill.value() + padding.decodes.value() * k;
  count_step(station, lane, start, end, k, shape, prompt, shape.outputs - padding.decodes.value(), run);
}

/// A step of which some iterations ended at or before the last arrival.
void Recorder::deliver_across(Time start, Time end, std::int64_t k, std::int64_t prompt, std::int64_t output,
                              const StepRun& run) {
  auto ended_by = [&](Time t) {
    if (t >= end) return k;
    return k == 1 || t < start ? std::int64_t{0} : iterations_within(run, k, t - start);
  };
  std::int64_t later = ended_by(last_arrival_);
  pending_.output += (k - later) * output;
  if (end <= last_arrival_) epoch_of_end(end).rates.prompt += prompt; else pending_.prompt += prompt;
  for (std::size_t i = epochs_.size(); i-- > 0 && later > 0;) {
    const std::int64_t before = i > 0 ? ended_by(epochs_[i]->begin) : 0;
    epochs_[i]->rates.output += (later - before) * output;
    later = before;
  }
}

void Recorder::itl_across(Time start, Duration first, Duration step, std::int64_t k, std::int64_t n) {
  StepRun run;
  run.first = first;
  run.step = step;
  std::int64_t later = k;
  for (std::size_t i = epochs_.size(); i-- > 0 && later > 0;) {
    const Duration until = epochs_[i]->begin - start;
    const std::int64_t before = i == 0 || until < Duration{} ? 0 : iterations_within(run, later, until);
    if (later > before) epochs_[i]->itl.add_run(to_ps(run.at(before)), to_ps(step), later - before, n);
    later = before;
  }
}

/// Epochs that ended before load or service changed by plan: what an incident or a peak does to a run is a result, not
/// a warm-up.
std::size_t Recorder::steady_epochs() const {
  std::size_t n = epochs_.size();
  for (Time end = last_arrival_; n > 0 && end > config_.steady_until; end = epochs_[n]->begin) --n;
  return n;
}

std::size_t Recorder::choose_cut() const {
  std::vector<double> means;
  for (std::size_t i = 0; i < steady_epochs(); ++i) {
    Wide sum = 0;
    std::int64_t count = 0;
    for (const PerClass& c : epochs_[i]->classes) sum += c.ttft.sum(), count += c.ttft.count();
    if (count == 0) return 0;  // an epoch without a completion: there is no steady state to look for
    means.push_back(static_cast<double>(sum) / static_cast<double>(count));
  }
  return mser(means);
}

Summary Recorder::finish(const RunEnd& end) {
  advance(end.end);
  wait(end.end, 0);
  for (Station& s : stations_) kv_advance(s, end.end);
  if (timeline_) timeline_->finish(end.end);

  Summary s;
  s.seed = config_.seed;
  s.duration_s = to_seconds(end.end);
  s.offered = offered_;
  std::copy(std::begin(statuses_), std::end(statuses_), s.requests.begin());
  for (const auto& e : epochs_)
    for (const PerClass& c : e->classes) s.retries += c.retries;
  s.mean_in_system = ratio(static_cast<double>(area_), static_cast<double>(to_ps(end.end)));

  const bool given = config_.warmup.has_value();
  const std::size_t cut = !given ? choose_cut() : warming_ ? epochs_.size() : measured_;
  if (given) {
    s.warmup_s = to_seconds(*config_.warmup);
    s.warmup_rule = *config_.warmup > Duration{} ? "given" : "none";
  } else {
    s.warmup_s = cut > 0 ? to_seconds(epochs_[cut]->begin) : 0;
    const std::size_t steady = steady_epochs();
    s.warmup_rule = "auto: MSER on the mean TTFT of " + std::to_string(steady) + " epochs" +
                    (steady < epochs_.size() ? " before the first planned change" : "") + " cut " + std::to_string(cut);
  }
  fill_requests(s, cut);
  fill_kv(s, end.end);
  fill_host(s, end);
  fill_work(s);
  fill_stations(s, end);
  fill_state(s, cut);
  s.broken = broken_identities(facts(end));
  return s;
}

void Recorder::fill_requests(Summary& s, std::size_t cut) const {
  std::vector<PerClass> classes;
  for (int c = 0; c < config_.classes; ++c) classes.emplace_back(config_.exact);
  Histogram itl(config_.exact);
  Rates rates;
  for (std::size_t i = cut; i < epochs_.size(); ++i) {
    rates += epochs_[i]->rates;
    itl.merge(epochs_[i]->itl);
    for (std::size_t c = 0; c < classes.size(); ++c) classes[c].merge(epochs_[i]->classes[c]);
  }
  PerClass all(config_.exact);
  for (const PerClass& c : classes) all.merge(c);

  auto latencies = [](const PerClass& c) {
    Latencies l;
    l.ttft = quantiles(c.ttft);
    l.tpot = quantiles(c.tpot);
    l.e2e = quantiles(c.e2e);
    l.queue = quantiles(c.queue);
    l.slow = slow_first_tokens(c.parts);
    return l;
  };
  s.latencies = latencies(all);
  s.latencies.itl = quantiles(itl);
  s.qoe = experience(all.qoe);
  const auto service = static_cast<double>(std::accumulate(service_.begin(), service_.end(), std::int64_t{0}));
  if (classes.size() > 1)
    for (std::size_t i = 0; i < classes.size(); ++i) {
      const PerClass& c = classes[i];
      s.by_class.push_back(latencies(c));
      s.class_counts.push_back({c.arrived, c.good, c.retries, c.statuses, experience(c.qoe),
                                ratio(static_cast<double>(service_[i]), service)});
    }

  s.measured = all.arrived;
  s.window_s = cut < epochs_.size() ? to_seconds(last_arrival_ - epochs_[cut]->begin) : 0;
  s.throughput.requests_per_s = ratio(static_cast<double>(rates.completed), s.window_s);
  s.throughput.prompt_tokens_per_s = ratio(static_cast<double>(rates.prompt), s.window_s);
  s.throughput.cached_prompt_tokens_per_s = ratio(static_cast<double>(rates.cached), s.window_s);
  s.throughput.output_tokens_per_s = ratio(static_cast<double>(rates.output), s.window_s);
  fill_slo(s, classes, all, itl);
}

void Recorder::fill_slo(Summary& s, const std::vector<PerClass>& classes, const PerClass& all,
                        const Histogram& itl) const {
  s.slo.attainment = all.arrived > 0 ? static_cast<double>(all.good) / static_cast<double>(all.arrived) : 0;
  s.slo.goodput_rps = ratio(static_cast<double>(all.good), s.window_s);
  for (const SloLimit& limit : config_.slo) {
    const PerClass& c = limit.request_class < 0 ? all : classes[static_cast<std::size_t>(limit.request_class)];
    const Histogram* of[] = {&c.ttft, &c.tpot, &itl, &c.e2e, &c.queue};
    const Histogram& values = *of[static_cast<int>(limit.metric)];
    const std::int64_t value = values.percentile_or_miss(limit.percentile);
    SloResult r;
    r.limit = limit;
    const bool missed = value == Histogram::kMiss;
    r.value_s = missed ? std::numeric_limits<double>::infinity() : static_cast<double>(value) * 1e-12;
    r.attainment = values.share_within(to_ps(limit.limit));
    r.met = c.arrived > 0 && value <= to_ps(limit.limit);
    s.slo.met = s.slo.met && r.met;
    s.slo.limits.push_back(r);
  }
}

void Recorder::fill_kv(Summary& s, Time end) const {
  Wide held = 0, used = 0, reserved = 0, external = 0, slots = 0;
  for (std::size_t i = 0; i < stations_.size(); ++i) {
    const Station& m = stations_[i];
    const Wide block = spec(i).block_tokens.value();
    held += m.held * block;
    used += m.used;
    reserved += m.reserved;
    external += m.external * block;
    slots += spec(i).blocks.value() * block;
    const double peak = ratio(static_cast<double>(m.peak.value()), static_cast<double>(spec(i).blocks.value()));
    s.kv.peak_used_fraction = std::max(s.kv.peak_used_fraction, peak);
  }
  const double all = static_cast<double>(slots) * static_cast<double>(to_ps(end));
  const Wide internal = held - used - reserved;
  s.kv.used = ratio(static_cast<double>(used), all);
  s.kv.reserved = ratio(static_cast<double>(reserved), all);
  s.kv.internal = ratio(static_cast<double>(internal), all);
  s.kv.external = ratio(static_cast<double>(external), all);
  s.kv.fragmented_fraction = ratio(static_cast<double>(internal + external), static_cast<double>(held + external));
  for (const Leave how : {Leave::kRecompute, Leave::kSwap, Leave::kRestart})
    s.kv.preemptions += departures_[static_cast<int>(how)];
  s.kv.preemption_loss_s = ps_to_s(stalls_[static_cast<int>(Stall::kPreempted)]);
  s.kv.swaps = departures_[static_cast<int>(Leave::kSwap)];
  s.kv.prefix_hit_rate = ratio(static_cast<double>(cached_), static_cast<double>(prompt_));
}

void Recorder::fill_host(Summary& s, const RunEnd& end) const {
  Summary::Host& h = s.kv.host;
  for (const RunEnd::Station& x : end.stations) {
    const std::int64_t block = x.block_tokens.value();
    h.room += x.host.room.value() * block;
    h.hit_tokens += x.host.restored * block;
    h.offloaded_tokens += x.host.offloaded * block;
    h.dropped_tokens += x.host.dropped * block;
    h.bytes_in += static_cast<double>(x.token_bytes.value()) * static_cast<double>(x.host.restored * block);
    h.bytes_out += static_cast<double>(x.token_bytes.value()) * static_cast<double>(x.host.offloaded * block);
    const double peak = ratio(static_cast<double>(x.host.peak.value()), static_cast<double>(x.host.room.value()));
    h.peak_used_fraction = std::max(h.peak_used_fraction, peak);
  }
  h.hit_rate = ratio(static_cast<double>(h.hit_tokens), static_cast<double>(prompt_));
}

/// In fJ: 1 mW for 1 ps. Nobody is busy for longer than it is there but a stage that was told of before it ends.
Wide Recorder::idle_energy(std::size_t i, Duration present, std::int64_t busy) const {
  const std::int64_t idle = to_ps(present) - busy / spec(i).stages;
  return static_cast<Wide>(std::max<std::int64_t>(0, idle)) * spec(i).idle_milliwatts;
}

Wide Recorder::energy(StationId station, Duration present, Wide energy, std::int64_t busy) const {
  const auto i = static_cast<std::size_t>(station.index);
  return (stations_[i].energy + energy) * 1'000'000 + idle_energy(i, present, stations_[i].busy + busy);
}

/// Over the time for which each station was there.
void Recorder::fill_stations(Summary& s, const RunEnd& end) const {
  int stages = 1;
  for (const StationSpec& x : config_.specs) stages = std::lcm(stages, x.stages);
  Wide idle_energy = 0, busy = 0, there = 0;   // busy: times `stages`
  double flops = 0, bytes = 0;
  for (std::size_t i = 0; i < stations_.size(); ++i) {
    const StationSpec& x = spec(i);
    const std::int64_t paid = end.paid.empty() ? to_ps(end.end) : to_ps(end.paid[i]);
    idle_energy += this->idle_energy(i, Duration{paid}, stations_[i].busy);
    busy += static_cast<Wide>(stations_[i].busy) * (stages / x.stages);
    there += paid;
    flops += ps_to_s(paid) * x.peak_flops;
    bytes += ps_to_s(paid) * x.peak_bytes;
    if (!end.usd.empty() && end.usd[i] >= 0) s.usd += end.usd[i];   // priced by a signal
    else if (config_.usd_per_node_hour == 0) s.usd += x.usd_per_hour * ps_to_s(paid) / 3600;
  }
  for (const Duration paid : end.nodes) s.usd += config_.usd_per_node_hour * to_seconds(paid) / 3600;
  idle_energy /= 1'000'000;
  s.busy = ratio(ps_to_s(busy) / stages, ps_to_s(there));
  s.time = times_.shares(there);
  s.mfu = ratio(static_cast<double>(flops_), flops);
  s.mbu = ratio(static_cast<double>(bytes_), bytes);
  s.joules = static_cast<double>(energy_ + idle_energy) * 1e-9;
  s.joules_per_output_token = ratio(s.joules, static_cast<double>(output_));
  s.usd_per_million_output_tokens = ratio(s.usd * 1e6, static_cast<double>(output_));
}

void Recorder::fill_work(Summary& s) const {
  s.tokens = {computed_, row_computed_, cached_, recomputed_, wasted_, padded_, open_computed_, prompt_, output_};
  s.mean_running = ratio(static_cast<double>(running_), static_cast<double>(span_));
  s.max_running = max_running_;
  Wide all = 0, in_range = 0;
  s.grade = Grade::kMeasured;
  for (std::size_t g = 0; g < 4; ++g) {
    const Wide worked = time_[0][g] + time_[1][g];
    all += worked;
    in_range += time_[1][g];
    s.time_by_grade_s[g] = ps_to_s(worked);
    if (worked > 0) s.grade = static_cast<Grade>(g);
  }
  s.calibrated_time_fraction = all > 0 ? static_cast<double>(in_range) / static_cast<double>(all) : 1;
  s.swap_s = times_.swap_s();
  s.transfer_s = ps_to_s(stalls_[static_cast<int>(Stall::kTransfer)]);
  s.host_s = times_.host_s();
  s.steps = steps_;
  s.iterations = iterations_;
}

void Recorder::fill_state(Summary& s, std::size_t cut) const {
  std::vector<Point> points;
  Load load{s.window_s, s.measured, 0, waiting_at_arrival_};
  for (std::size_t i = cut; i < epochs_.size(); ++i) {
    load.completed += epochs_[i]->rates.completed;
    const bool last = i + 1 == epochs_.size();
    const Time from = epochs_[i]->begin, to = last ? last_arrival_ : epochs_[i + 1]->begin;
    const Wide waited = (last ? waiting_area_at_arrival_ : epochs_[i + 1]->area) - epochs_[i]->area;
    const double length = to_seconds(to - from);
    if (length > 0) points.push_back({to_seconds(from) + length / 2, ps_to_s(waited) / length});
  }
  const Trend queue = trend(points);
  s.queue_slope = queue.slope;
  s.queue_slope_half = queue.half;
  s.state = verdict(queue, load);
}

RunFacts Recorder::facts(const RunEnd& end) const {
  RunFacts f;
  f.seed = config_.seed;
  f.end = end;
  f.backwards = backwards_;
  f.odd = odd_;
  f.offered = offered_;
  std::copy(std::begin(statuses_), std::end(statuses_), f.rows);
  f.in_system = in_system_;
  f.area = area_;
  const std::int64_t open = statuses_[static_cast<int>(Status::kInFlight)];
  f.sojourn = sojourn_ + static_cast<Wide>(to_ps(end.end)) * open - open_arrivals_;
  f.computed = computed_;
  f.done = row_computed_;
  f.in_flight = open_computed_;
  f.recomputed = recomputed_;
  f.wasted = wasted_;
  f.restarted = departures_[static_cast<int>(Leave::kRestart)] > 0;
  f.gaps = gaps_;
  for (const auto& e : epochs_) f.itl += e->itl.count();
  f.energy = energy_;
  f.host_in = times_.host_in();
  f.host_out = times_.host_out();
  f.aborted = aborted_;
  for (const RunEnd::Row& row : end.rows) {
    Wide& metered = f.metered.emplace_back(row.rest);
    for (const StationId s : row.stations) {
      const auto i = static_cast<std::size_t>(s.index);
      metered += energy(s, end.paid.empty() ? end.end - Time{} : end.paid[i], 0, 0);
    }
  }
  for (std::size_t i = 0; i < stations_.size(); ++i) {
    const Station& m = stations_[i];
    f.station_energy.push_back(m.energy);
    f.slots.push_back({m.held * spec(i).block_tokens.value(), m.used, m.reserved});
  }
  return f;
}

}  // namespace orrery
