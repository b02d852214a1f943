/// Bodies of the recorder's calls that a run makes once a request or once a step; included by recorder.hpp.
#pragma once

#include <algorithm>

namespace orrery {

inline void Recorder::on_arrival(Time now, const Request& request) {
  advance(now);
  ++in_system_;
  ++offered_;
  epoch_->rates += pending_;
  pending_ = {};
  if (now > last_arrival_ && (epoch_arrivals_ >= epoch_size_ || warming_)) rotate(now);
  last_arrival_ = now;
  wait(now, 0);
  waiting_area_at_arrival_ = waiting_area_;
  waiting_at_arrival_ = waiting_;
  ++epoch_arrivals_;
  ++epoch_->classes[request.request_class].arrived;
  if (timeline_) timeline_->arrival(now);
}

inline void Recorder::observe(PerClass& c, const Row& row) {
  ++c.statuses[static_cast<std::size_t>(row.status)];
  c.retries += row.retries;
  if (row.qoe >= 0) c.qoe.add(static_cast<std::int64_t>(row.qoe * 1e9 + 0.5));
  if (row.status != Status::kDone) {
    c.ttft.add_miss();
    c.tpot.add_miss();
    c.e2e.add_miss();
    c.queue.add_miss();
    return;
  }
  const Limits& limit = limits_[row.request_class];
  const std::int64_t ttft = to_ps(row.ttft()), e2e = to_ps(row.e2e()), queue = to_ps(row.queue());
  bool good = ttft <= limit.ttft && e2e <= limit.e2e && queue <= limit.queue;
  c.ttft.add(ttft);
  c.e2e.add(e2e);
  c.queue.add(queue);
  if (row.output.value() > 1) {
    const std::int64_t tpot = to_ps(row.tpot());
    c.tpot.add(tpot);
    good = good && tpot <= limit.tpot;
  }
  c.good += good;
  c.parts.add(row);
}

inline void Recorder::count_tokens(const Row& row) {
  if (row.first_schedule != kNever) {
    service_[row.request_class] += row.prompt.value() + 2 * std::int64_t{row.output.value()};
    prompt_ += row.prompt.value();
    cached_ += row.cached.value();
  }
  output_ += row.output.value();
  gaps_ += std::max(0, row.output.value() - 1);
}

inline void Recorder::on_attempt(const Row& attempt) { count_tokens(attempt); }

inline void Recorder::on_row(const Row& row) {
  ++statuses_[static_cast<int>(row.status)];
  if (!sound(row) && !odd_) odd_ = row;
  if (row.status == Status::kInFlight) {
    open_arrivals_ += to_ps(row.arrival);
    open_computed_ += row.computed.value();
  } else {
    advance(row.finish);
    --in_system_;
    sojourn_ += to_ps(row.e2e());
  }
  count_tokens(row);
  if (row.status == Status::kDone) {
    row_computed_ += row.computed.value();
    Rates& rates = row.finish <= last_arrival_ ? epoch_of_end(row.finish).rates : pending_;
    ++rates.completed;
    rates.cached += row.cached.value();
  }
  observe(epoch_of_arrival(row.arrival).classes[row.request_class], row);
  if (config_.rows) config_.rows->row(row);
}

inline void Recorder::count_run(StationId station, int stage, std::int64_t k, const StepShape& shape,
                                const StepRun& run) {
  Station& s = stations_[static_cast<std::size_t>(station.index)];
  if (k == 1) {
    const std::int64_t time = to_ps(run.first), energy = run.e_first.value();
    s.busy += time;
    add_to(s.energy, energy);
    add_to(energy_, energy);
    add_to(flops_, run.flops);
    add_to(bytes_, run.bytes);
    add_to(time_[run.in_range][static_cast<std::size_t>(run.grade)], time);
    return times_.add_one(s.kind, shape, stage, run);
  }
  const StepTimes::Work work = StepTimes::Work::of(run, k);
  const Wide energy =
      static_cast<Wide>(run.e_first.value()) * k + static_cast<Wide>(run.e_step.value()) * (k * (k - 1) / 2);
  s.busy += work.time;
  s.energy += energy;
  energy_ += energy;
  flops_ += work.flops;
  bytes_ += work.bytes;
  time_[run.in_range][static_cast<std::size_t>(run.grade)] += work.time;
  times_.add(s.kind, shape, stage, k, run, work);
}

inline void Recorder::on_stage(StationId station, int stage, Time start, Time end, std::int64_t k,
                               const StepShape& shape, const StepRun& run) {
  count_run(station, stage, k, shape, run);
  if (timeline_) timeline_->stage(start, end, k, run);
}

[[gnu::always_inline]] inline void Recorder::count_step(StationId station, int lane, Time start, Time end,
                                                        std::int64_t k, const StepShape& shape, std::int64_t prompt,
                                                        std::int64_t output, const StepRun& run) {
  const std::int64_t time = to_ps(end) - to_ps(start);
  ++steps_;
  iterations_ += k;
  add_to(span_, time);
  running_ += static_cast<Wide>(shape.sequences) * time;
  if (shape.sequences > max_running_) max_running_ = shape.sequences;
  count_run(station, 0, k, shape, run);
  const Time first_end = k == 1 ? end : start + run.first;
  if (first_end > last_arrival_) {
    pending_.prompt += prompt;
    pending_.output += output * k;
  } else {
    deliver_across(start, end, k, prompt, output, run);
  }
  if (timeline_) timeline_->step(station, lane, start, end, k, prompt, output, shape.sequences, run);
}

[[gnu::always_inline]] inline void Recorder::on_step(StationId station, int lane, Time start, Time end, std::int64_t k,
                                                     const StepShape& shape, const StepRun& run) {
  computed_ += shape.prefill.value() + shape.decodes.value() * k;
  count_step(station, lane, start, end, k, shape, shape.prefill.value(), shape.outputs, run);
}

inline std::int64_t Recorder::on_abort(StationId station, int lane, Time start, Time now, const StepRun& run) {
  const std::int64_t time = to_ps(now) - to_ps(start), whole = std::max<std::int64_t>(1, to_ps(run.first));
  const auto energy = static_cast<std::int64_t>(static_cast<Wide>(run.e_first.value()) * std::min(time, whole) / whole);
  Station& s = stations_[static_cast<std::size_t>(station.index)];
  s.busy += time;
  s.energy += energy;
  energy_ += energy;
  span_ += time;
  aborted_ = true;
  times_.add_lost(s.kind, time);
  time_[run.in_range][static_cast<std::size_t>(run.grade)] += time;
  if (timeline_) timeline_->abort(station, lane, start, now, energy);
  return energy;
}

inline void Recorder::itl(Time end, Duration gap, std::int64_t count) {
  epoch_of_end(end).itl.add(to_ps(gap), count);
}

inline void Recorder::itl_run(Time start, Duration first, Duration step, std::int64_t k, std::int64_t n) {
  if (start + first > epoch_->begin)
    epoch_->itl.add_run(to_ps(first), to_ps(step), k, n);
  else
    itl_across(start, first, step, k, n);
}

inline void Recorder::on_departure(Leave how, Tokens undone) {
  ++departures_[static_cast<int>(how)];
  if (how == Leave::kRecompute) recomputed_ += undone.value();
  if (how == Leave::kRestart || how == Leave::kFail) wasted_ += undone.value();
}

inline void Recorder::on_kv(StationId station, Time now, const KvUse& use) {
  Station& s = stations_[static_cast<std::size_t>(station.index)];
  if (timeline_) timeline_->held(now, use.held - s.kv.held);
  kv_advance(s, now);
  s.kv.held = use.held;   // one by one: a copy of the whole would wait for the stores that have just made it
  s.kv.used = use.used;
  s.kv.reserved = use.reserved;
  s.kv.external = use.external;
  s.peak = std::max(s.peak, use.held);
}

template <class Growth>
void Recorder::on_kv_run(StationId station, Time start, std::int64_t k, const StepRun& run, Tokens used, Tokens filled,
                         Growth growth) {
  Station& s = stations_[static_cast<std::size_t>(station.index)];
  const Time end = start + run.total(k);
  const Blocks held = s.kv.held;
  kv_advance(s, end);
  // Iteration j lasts first + j * step: sums of j and j^2 over j < k. They and those below fit 64 bits.
  const std::int64_t pairs = k * (k - 1) / 2;
  const std::int64_t squares = pairs * (2 * k - 1) / 3;
  const Wide ramp = static_cast<Wide>(pairs) * to_ps(run.first) + static_cast<Wide>(squares) * to_ps(run.step);
  s.used += ramp * used.value();
  s.reserved -= ramp * filled.value();
  s.kv.used += used * k;
  s.kv.reserved -= filled * k;
  // A block taken before iteration i is held for T(k) - T(i); iterations i, i + period, ... take the same number.
  const std::int64_t period = spec(static_cast<std::size_t>(station.index)).block_tokens.value();
  const std::int64_t whole = to_ps(run.total(k));
  std::int64_t left = whole;                          // T(k) - T(i)
  for (std::int64_t i = 1; i <= period && i < k; ++i) {
    left -= to_ps(run.at(i - 1));
    const std::int64_t blocks = growth(i);
    if (blocks == 0) continue;
    if (i + period >= k) {  // once
      s.held += static_cast<Wide>(left) * blocks;
      s.kv.held += Blocks{blocks};
      continue;
    }
    const std::int64_t last = (k - 1 - i) / period;   // i + last * period < k
    const std::int64_t count = last + 1, triangle = last * count / 2;
    const std::int64_t sum1 = count * i + period * triangle;
    const std::int64_t pyramid = triangle * (2 * last + 1) / 3;
    const std::int64_t sum2 = count * i * i + 2 * i * period * triangle + period * period * pyramid;
    s.held += (static_cast<Wide>(count) * whole - static_cast<Wide>(sum1) * to_ps(run.first) -
               static_cast<Wide>((sum2 - sum1) / 2) * to_ps(run.step)) * blocks;
    s.kv.held += Blocks{blocks * count};
  }
  s.peak = std::max(s.peak, s.kv.held);
  if (timeline_) {
    timeline_->grown(start, end, s.kv.held - held);
    timeline_->held(end, s.kv.held - held);
  }
}

}  // namespace orrery
