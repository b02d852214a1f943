#include "sim/metrics/timeline.hpp"

#include <algorithm>

namespace orrery {

Timeline::Timeline(TimelineSink& sink, int stations, int lanes)
    : sink_(&sink),
      lanes_(lanes),
      open_(static_cast<std::size_t>(stations) * static_cast<std::size_t>(lanes), kClosed) {
  windows_.emplace_back();
}

void Timeline::cross_edge() {
  const std::int64_t edge = next_edge();
  integrate(edge);
  const std::int64_t next = windows_.back().index + 1;
  windows_.emplace_back().index = next;
  hand_out(std::min(edge, *std::min_element(open_.begin(), open_.end())));
}

void Timeline::hand_out(std::int64_t until) {
  while (windows_.size() > 1 && (windows_.front().index + 1) * kWindow <= until) {
    sink_->window(windows_.front());
    windows_.pop_front();
  }
}

template <class Visit>
void Timeline::split(Time begin, Time end, Visit visit) {
  const std::int64_t from = to_ps(begin), length = to_ps(end) - from;
  // A step whose begin() was not told may reach behind the oldest window: its share goes there.
  std::int64_t at = 0;
  auto w = windows_.begin() + std::max<std::int64_t>(0, from / kWindow - windows_.front().index);
  for (; w + 1 != windows_.end(); ++w) {
    const std::int64_t edge = std::min(length, (w->index + 1) * kWindow - from);
    visit(*w, at, edge);
    at = edge;
  }
  visit(*w, at, length);
}

void Timeline::grown(Time start, Time end, Blocks growth) {
  advance(end);
  const Wide length = (end - start).count();
  if (length == 0 || growth == Blocks{}) return;
  // The level is growth * t / length at t; its integral until t is growth * t^2 / (2 length).
  auto area = [&](Wide t) { return growth.value() * t * t / (2 * length); };
  split(start, end, [&](Window& w, std::int64_t a, std::int64_t b) { w.held += area(b) - area(a); });
}

void Timeline::spread(const Stage& stage) {
  const Time start = stage.start, end = stage.end;
  const std::int64_t k = stage.k;
  const StepRun& run = stage.run;
  const std::int64_t length = (end - start).count(), busy = to_ps(run.total(k));
  const std::int64_t first = run.e_first.value(), step = run.e_step.value();
  auto energy_of = [first, step](std::int64_t j) { return j * first + j * (j - 1) / 2 * step; };
  // Until t after the start: whole iterations and an even share of the one that runs.
  auto energy = [&](std::int64_t t) {
    if (t >= length) return energy_of(k);
    const std::int64_t j = k == 1 ? 0 : iterations_within(run, k, Duration{t});
    const std::int64_t done = k == 1 ? 0 : to_ps(run.total(j)), time = k == 1 ? length : to_ps(run.at(j));
    return energy_of(j) + static_cast<std::int64_t>(static_cast<Wide>(first + j * step) * (t - done) / time);
  };
  auto worked = [&](std::int64_t t) {
    return t >= length ? busy : static_cast<std::int64_t>(static_cast<Wide>(busy) * t / length);
  };
  split(start, end, [&](Window& w, std::int64_t a, std::int64_t b) {
    w.energy += energy(b) - (a > 0 ? energy(a) : 0);
    w.busy += worked(b) - (a > 0 ? worked(a) : 0);
  });
}

void Timeline::step(StationId station, int lane, Time start, Time end, std::int64_t k, std::int64_t prompt,
                    std::int64_t output, std::int64_t sequences, const StepRun& run) {
  advance(end);
  windows_.back().prompt_tokens += prompt;
  spread({start, end, k, run});
  for (const Stage& s : stages_)
    if (s.end <= end) spread(s);
  std::erase_if(stages_, [&](const Stage& s) { return s.end <= end; });
  auto ended = [&](std::int64_t t) {  // iterations that end before t; the last ends now, in the newest window
    return k == 1 ? 0 : std::min(k - 1, iterations_within(run, k, Duration{t - 1}));
  };
  std::int64_t counted = 0;
  split(start, end, [&](Window& w, std::int64_t a, std::int64_t b) {
    const std::int64_t until = &w == &windows_.back() ? k : ended(b);
    w.output_tokens += (until - counted) * output;
    counted = until;
    w.running += static_cast<Wide>(sequences) * (b - a);
  });
  open_[index(station, lane)] = kClosed;
}

void Timeline::abort(StationId station, int lane, Time start, Time now, std::int64_t energy) {
  advance(now);
  const std::int64_t length = std::max<std::int64_t>(1, (now - start).count());
  const auto spent = [&](std::int64_t t) { return static_cast<std::int64_t>(static_cast<Wide>(energy) * t / length); };
  split(start, now, [&](Window& w, std::int64_t a, std::int64_t b) {
    w.energy += spent(b) - spent(a);
    w.busy += b - a;
  });
  open_[index(station, lane)] = kClosed;
}

void Timeline::finish(Time end) {
  advance(end);
  windows_.emplace_back();  // behind the end; never handed out
  hand_out(kClosed);
}

}  // namespace orrery
