/// The recorder against a plain model of what happened, and against itself: a run of k iterations told at once must
/// give exactly what k single iterations give.
#include "sim/metrics/recorder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

Time at_ms(std::int64_t ms) { return Time{} + std::chrono::milliseconds(ms); }

Request request(std::uint64_t number, Time arrival) {
  Request r;
  r.number = number;
  r.arrival = arrival;
  return r;
}

Row done(std::uint64_t number, Time arrival, Time schedule, Time first, Time finish, int output) {
  Row r;
  r.number = number;
  r.arrival = arrival;
  r.first_schedule = schedule;
  r.first_token = first;
  r.finish = finish;
  r.prompt = Tokens32{100};
  r.output = Tokens32{output};
  r.station = StationId{0};
  return r;
}

RecorderConfig plain() {
  RecorderConfig c;
  c.blocks = 1000_blk;
  c.warmup = Duration{};
  return c;
}

/// Two requests by hand: TTFT 10 and 30 ms, TPOT 5 and 10 ms, one refused.
TEST(Recorder, LatenciesOfAFewRequests) {
  RecorderConfig config = plain();
  config.slo = {{Metric::kTtft, 50, 20ms}, {Metric::kTtft, 99, 1s}, {Metric::kTpot, 99, 20ms}};
  Recorder r(config);
  r.on_arrival(at_ms(0), request(0, at_ms(0)));
  r.on_arrival(at_ms(5), request(1, at_ms(5)));
  r.on_arrival(at_ms(6), request(2, at_ms(6)));
  Row refused;
  refused.number = 2;
  refused.arrival = refused.finish = at_ms(6);
  refused.status = Status::kRejected;
  r.on_row(refused);
  r.on_row(done(0, at_ms(0), at_ms(0), at_ms(10), at_ms(20), 3));
  r.on_row(done(1, at_ms(5), at_ms(10), at_ms(35), at_ms(45), 2));
  const Summary s = r.finish({.end = at_ms(45)});
  EXPECT_NEAR(s.latencies.ttft.mean, 0.020, 1e-12);
  EXPECT_NEAR(s.latencies.ttft.p50, 0.010, 1e-5);
  EXPECT_NEAR(s.latencies.ttft.max, 0.030, 1e-12);
  EXPECT_NEAR(s.latencies.tpot.mean, 0.0075, 1e-12);
  EXPECT_NEAR(s.latencies.e2e.mean, 0.030, 1e-12);
  EXPECT_NEAR(s.latencies.queue.max, 0.005, 1e-12);
  EXPECT_EQ(s.measured, 3);
  EXPECT_EQ(s.requests, (std::array<std::int64_t, 6>{2, 1, 0, 0, 0, 0}));
  // A request is good within every limit of its class: the first alone (TTFT <= 20 ms).
  EXPECT_NEAR(s.slo.attainment, 1.0 / 3, 1e-12);
  ASSERT_EQ(s.slo.limits.size(), 3u);
  EXPECT_FALSE(s.slo.limits[0].met);                         // the median of 10, 30 and a miss is 30
  EXPECT_NEAR(s.slo.limits[0].value_s, 0.030, 1e-4);
  EXPECT_EQ(s.slo.limits[1].value_s, std::numeric_limits<double>::infinity());
  EXPECT_FALSE(s.slo.met);
  // Little: 20, 40 and 0 ms in the system, over 45 ms.
  EXPECT_NEAR(s.mean_in_system, 60.0 / 45, 1e-12);
}

TEST(Recorder, LimitsBelongToTheirClass) {
  RecorderConfig config = plain();
  config.classes = 2;
  config.slo = {{Metric::kE2e, 99, 10ms, 0}, {Metric::kE2e, 99, 100ms, 1}};
  Recorder r(config);
  for (std::uint64_t i = 0; i < 4; ++i) {
    Request q = request(i, at_ms(0));
    q.request_class = i % 2;
    r.on_arrival(at_ms(0), q);
  }
  for (std::uint64_t i = 0; i < 4; ++i) {
    Row row = done(i, at_ms(0), at_ms(0), at_ms(20), at_ms(50), 2);
    row.request_class = i % 2;
    r.on_row(row);
  }
  const Summary s = r.finish({.end = at_ms(50)});
  EXPECT_EQ(s.slo.attainment, 0.5);
  EXPECT_FALSE(s.slo.limits[0].met);
  EXPECT_TRUE(s.slo.limits[1].met);
  EXPECT_EQ(s.by_class.size(), 2u);
  EXPECT_EQ(s.by_class[1].e2e.count, 2);
}

/// 100 requests, one a second; the first 30 are slow. A given warm-up of 30 s leaves none of them.
TEST(Recorder, AGivenWarmupCutsByArrival) {
  RecorderConfig config = plain();
  config.warmup = 30s;
  Recorder r(config);
  for (int i = 0; i < 100; ++i) {
    const Time t = at_ms(1000 * i);
    if (i > 0) {
      const Time a = at_ms(1000 * (i - 1));
      r.on_row(done(static_cast<std::uint64_t>(i - 1), a, a, a + (i <= 30 ? 500ms : 100ms), a + 600ms, 2));
    }
    r.on_arrival(t, request(static_cast<std::uint64_t>(i), t));
  }
  // rows above come before the next arrival, so time has not run backwards
  r.on_row(done(99, at_ms(99000), at_ms(99000), at_ms(99100), at_ms(99600), 2));
  const Summary s = r.finish({.end = at_ms(99600)});
  EXPECT_EQ(s.measured, 70);
  EXPECT_NEAR(s.latencies.ttft.max, 0.1, 1e-9);
  EXPECT_NEAR(s.window_s, 69, 1e-9);
  EXPECT_NEAR(s.throughput.requests_per_s, 69.0 / 69, 1e-9);   // the last finishes after the window
  EXPECT_EQ(s.warmup_rule, "given");
}

/// 2000 requests, the first 300 slow, falling: `auto` cuts about them, and not half of the run.
TEST(Recorder, AutoWarmupFindsTheRamp) {
  RecorderConfig config = plain();
  config.warmup.reset();
  Recorder r(config);
  for (int i = 0; i < 2000; ++i) {
    const Time a = at_ms(1000 * i);
    r.on_arrival(a, request(static_cast<std::uint64_t>(i), a));
    const Duration ttft = i < 300 ? 900ms - i * 2ms : 200ms + (i % 7) * 10ms;
    r.on_row(done(static_cast<std::uint64_t>(i), a, a, a + ttft, a + 950ms, 2));
  }
  const Summary s = r.finish({.end = at_ms(2000000)});
  EXPECT_GE(s.warmup_s, 250);
  EXPECT_LE(s.warmup_s, 520);
  EXPECT_NEAR(s.latencies.ttft.mean, 0.23, 0.01);
}

/// The same ramp, and an incident from 1100 to 1150 s: it stays in the results. Without being told of it `auto` takes
/// all that is before its end for a warm-up. With one at 100 s there is nothing that could be a steady state.
TEST(Recorder, AutoWarmupCutsNoIncident) {
  const auto cut = [](Time steady_until) {
    RecorderConfig config = plain();
    config.warmup.reset();
    config.steady_until = steady_until;
    Recorder r(config);
    for (int i = 0; i < 2400; ++i) {
      const Time a = at_ms(1000 * i);
      r.on_arrival(a, request(static_cast<std::uint64_t>(i), a));
      const bool incident = 1100 <= i && i < 1150;
      const Duration ttft = i < 300 ? 900ms - i * 2ms : incident ? 940ms : 200ms + (i % 7) * 10ms;
      r.on_row(done(static_cast<std::uint64_t>(i), a, a, a + ttft, a + 950ms, 2));
    }
    return r.finish({.end = at_ms(2400000)});
  };
  const Summary untold = cut(kNever), told = cut(at_ms(1100000)), early = cut(at_ms(100000));
  EXPECT_GE(untold.warmup_s, 1100);
  EXPECT_GE(told.warmup_s, 250);
  EXPECT_LE(told.warmup_s, 520);
  EXPECT_NEAR(told.latencies.ttft.max, 0.94, 1e-9);
  EXPECT_NE(told.warmup_rule.find("before the first planned change"), std::string::npos) << told.warmup_rule;
  EXPECT_EQ(early.warmup_s, 0);
}

/// One decode or prefill run of a station: k iterations from `start`.
struct Burst {
  int station;
  Time start;
  std::int64_t k;
  StepShape shape;
  StepRun cost;
  std::vector<std::int64_t> growth;    ///< blocks before iteration i, by i modulo 16
  KvUse use;                           ///< of iteration 0
  std::int64_t members, filled;
};

/// A random history: runs back to back at each of three stations, with arrivals and departures of its own.
struct History {
  std::vector<Burst> runs;
  std::vector<std::pair<Time, bool>> jobs;   ///< arrival (true) or departure of the oldest
  Time end{};
};

History history(std::uint64_t seed) {
  Rng rng(seed, Purpose::kFuzz, 14);
  History h;
  for (int station = 0; station < 3; ++station) {
    Time now{};
    for (int i = 0; i < 60; ++i) {
      now += Duration{static_cast<std::int64_t>(rng.below(200'000'000'000))};  // idle up to 0.2 s
      Burst r;
      r.station = station;
      r.start = now;
      const bool chunk = rng.below(3) == 0;
      r.k = chunk ? 1 : static_cast<std::int64_t>(1 + rng.below(120));
      r.members = static_cast<std::int64_t>(1 + rng.below(20));
      r.filled = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(r.members) + 1));
      r.shape.decodes = Tokens{r.members};
      r.shape.prefill = chunk ? 300_tok : 0_tok;
      r.shape.sequences = static_cast<std::int32_t>(r.members + chunk);
      r.shape.outputs = r.shape.sequences;
      r.cost.first = Duration{static_cast<std::int64_t>(1 + rng.below(40'000'000'000))};
      r.cost.step = Duration{static_cast<std::int64_t>(rng.below(20'000'000))};
      r.cost.e_first = Energy{static_cast<std::int64_t>(rng.below(30'000'000'000))};
      r.cost.e_step = Energy{static_cast<std::int64_t>(rng.below(1'000'000))};
      r.cost.host = Duration{100};
      r.cost.flops = 7'000'000;
      r.cost.flops_step = 3;
      r.cost.bytes = 9'000;
      r.cost.bytes_step = 11;
      r.cost.valid = r.k;
      r.cost.grade = static_cast<Grade>(rng.below(4));
      r.cost.in_range = rng.below(4) > 0;
      for (int b = 0; b < 16; ++b) r.growth.push_back(static_cast<std::int64_t>(rng.below(3)));
      r.use.held = Blocks{static_cast<std::int64_t>(2000 + rng.below(500))};
      r.use.used = Tokens{static_cast<std::int64_t>(1000 + rng.below(1000))};
      r.use.reserved = Tokens{static_cast<std::int64_t>(10000 + rng.below(1000))};
      now = r.start + r.cost.total(r.k);
      h.runs.push_back(r);
    }
    h.end = std::max(h.end, now);
  }
  Time t{};
  std::int64_t open = 0;
  while (t < h.end) {
    if (open > 0 && rng.below(2) == 0) {
      h.jobs.push_back({t, false});
      --open;
    } else {
      h.jobs.push_back({t, true});
      ++open;
    }
    t += Duration{static_cast<std::int64_t>(rng.below(2'000'000'000'000))};
  }
  return h;
}

/// What one call to the recorder looks like to the test: time, order within an instant, what to do.
struct Event {
  Time when;
  int order;
  std::size_t serial;
  std::function<void(Recorder&)> tell;
  friend bool operator<(const Event& a, const Event& b) {
    return std::tie(a.when, a.order, a.serial) < std::tie(b.when, b.order, b.serial);
  }
};

/// Iterations [from, to) of a run as one step that the recorder is told of.
void add_step(std::vector<Event>& events, const Burst& r, std::int64_t from, std::int64_t to) {
  const Time start = r.start + r.cost.total(from), end = r.start + r.cost.total(to);
  const StationId id{r.station};
  auto use_at = [&r](std::int64_t j) {
    KvUse u = r.use;
    for (std::int64_t i = 1; i <= j; ++i) u.held += Blocks{r.growth[static_cast<std::size_t>(i % 16)]};
    u.used += Tokens{j * r.members};
    u.reserved -= Tokens{j * r.filled};
    return u;
  };
  StepRun cost = r.cost;
  cost.first = r.cost.at(from);
  cost.e_first = r.cost.e_first + from * r.cost.e_step;
  cost.flops += from * cost.flops_step;
  cost.bytes += from * cost.bytes_step;
  events.push_back({start, 1, events.size(), [=](Recorder& rec) {
                      rec.on_begin(id, 0, start);
                      rec.on_kv(id, start, use_at(from));
                    }});
  events.push_back({end, 0, events.size(), [=, &r](Recorder& rec) {
                      rec.on_step(id, 0, start, end, to - from, r.shape, {}, cost);
                      rec.itl_run(start, cost.first, cost.step, to - from, r.members);
                      auto growth = [&](std::int64_t i) { return r.growth[static_cast<std::size_t>((from + i) % 16)]; };
                      if (to - from > 1)
                        rec.on_kv_run(id, start, to - from, cost, Tokens{r.members}, Tokens{r.filled}, growth);
                      KvUse after = use_at(to - 1);
                      after.used += Tokens{r.members};
                      after.reserved -= Tokens{r.filled};
                      rec.on_kv(id, end, after);
                    }});
}

struct Windows : TimelineSink {
  std::vector<Window> all;
  void window(Window& w) override { all.push_back(w); }
};

Summary replay(const History& h, bool stepped, RecorderConfig config) {
  std::vector<Event> events;
  for (const Burst& r : h.runs) {
    if (!stepped) add_step(events, r, 0, r.k);
    for (std::int64_t j = 0; stepped && j < r.k; ++j) add_step(events, r, j, j + 1);
  }
  std::vector<Time> open;
  std::uint64_t number = 0;
  for (const auto& [t, arrives] : h.jobs) {
    if (arrives) {
      events.push_back({t, 2, events.size(), [t = t, n = number](Recorder& rec) {
                          rec.on_arrival(t, request(n, t));
                          rec.on_waiting(t, 1);
                        }});
      open.push_back(t);
      ++number;
    } else {
      const Time a = open.front();
      open.erase(open.begin());
      events.push_back({t, 2, events.size(), [t = t, a](Recorder& rec) {
                          rec.on_waiting(t, -1);
                          rec.on_row(done(0, a, a, a + (t - a) / 2, t, 5));
                        }});
    }
  }
  std::sort(events.begin(), events.end());
  Recorder rec(config);
  for (const Event& e : events) e.tell(rec);
  const Time end = events.back().when;
  for (const Time a : open) {
    Row row = done(0, a, a, a, kNever, 1);
    row.status = Status::kInFlight;
    rec.on_row(row);
  }
  return rec.finish({.end = end});
}

RecorderConfig three_stations() {
  RecorderConfig c = plain();
  c.stations = 3;
  c.peak_flops = 1e12;
  c.peak_bytes = 1e12;
  c.idle_milliwatts = 70'000;
  return c;
}

std::vector<double> numbers(const Summary& s) {
  const Latencies& l = s.latencies;
  std::vector<double> out{s.queue_slope, s.queue_slope_half, s.window_s, s.warmup_s, s.throughput.requests_per_s,
                          s.throughput.prompt_tokens_per_s, s.throughput.cached_prompt_tokens_per_s,
                          s.throughput.output_tokens_per_s, s.kv.used, s.kv.reserved, s.kv.internal, s.kv.external,
                          s.kv.fragmented_fraction, s.kv.peak_used_fraction, s.mean_running, s.busy, s.mfu, s.mbu,
                          s.joules, s.host_s, s.calibrated_time_fraction, s.mean_in_system};
  for (const Quantiles& q : {l.ttft, l.tpot, l.itl, l.e2e, l.queue})
    for (const double v : {q.mean, q.p50, q.p90, q.p95, q.p99, q.max, static_cast<double>(q.count)}) out.push_back(v);
  for (const double g : s.time_by_grade_s) out.push_back(g);
  for (const std::int64_t n : {s.tokens.computed, s.tokens.padded, s.iterations, s.max_running, s.measured})
    out.push_back(static_cast<double>(n));
  return out;
}

TEST(Recorder, ARunToldAtOnceIsItsIterationsToldOneByOne) {
  for (std::uint64_t seed = 0; seed < 12; ++seed)
    for (const std::optional<Duration> warmup : {std::optional<Duration>{}, {Duration{}}, {Duration{20s}}}) {
      const History h = history(seed);
      RecorderConfig config = three_stations();
      config.warmup = warmup;
      EXPECT_EQ(numbers(replay(h, false, config)), numbers(replay(h, true, config))) << "seed " << seed;
    }
}

/// Sums over the windows are those of the run, and equal for both ways of telling; only the growth of KV inside a run
/// is spread evenly instead of block by block.
TEST(Recorder, TheTimelineAddsUp) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const History h = history(seed);
    Windows fast, slow;
    RecorderConfig config = three_stations();
    config.timeline = &fast;
    const Summary s = replay(h, false, config);
    config.timeline = &slow;
    replay(h, true, config);
    ASSERT_EQ(fast.all.size(), slow.all.size());
    std::int64_t energy = 0, busy = 0, output = 0, prompt = 0, arrivals = 0;
    Wide running = 0, queued = 0;
    double held_fast = 0, held_slow = 0;
    for (std::size_t i = 0; i < fast.all.size(); ++i) {
      const Window &a = fast.all[i], &b = slow.all[i];
      ASSERT_EQ(a.index, static_cast<std::int64_t>(i));
      ASSERT_EQ(a.arrivals, b.arrivals);
      ASSERT_EQ(a.prompt_tokens, b.prompt_tokens);
      ASSERT_EQ(a.output_tokens, b.output_tokens) << "seed " << seed << " window " << i;
      ASSERT_EQ(a.energy, b.energy);
      ASSERT_EQ(a.busy, b.busy);
      ASSERT_TRUE(a.running == b.running && a.queued == b.queued);
      ASSERT_NEAR(static_cast<double>(a.held), static_cast<double>(b.held), 0.02 * static_cast<double>(b.held));
      energy += a.energy, busy += a.busy, output += a.output_tokens, prompt += a.prompt_tokens, arrivals += a.arrivals;
      running += a.running, queued += a.queued;
      held_fast += static_cast<double>(a.held), held_slow += static_cast<double>(b.held);
    }
    EXPECT_NEAR(held_fast, held_slow, 0.002 * held_slow);
    Wide all_energy = 0, all_running = 0;
    std::int64_t all_busy = 0, all_output = 0, all_prompt = 0;
    for (const Burst& r : h.runs) {
      for (std::int64_t j = 0; j < r.k; ++j) {
        all_energy += (r.cost.e_first + j * r.cost.e_step).value();
        all_output += r.shape.outputs;
      }
      all_busy += to_ps(r.cost.total(r.k));
      all_prompt += r.shape.prefill.value();
      all_running += static_cast<Wide>(r.shape.sequences) * to_ps(r.cost.total(r.k));
    }
    EXPECT_EQ(energy, static_cast<std::int64_t>(all_energy));
    EXPECT_EQ(busy, all_busy);
    EXPECT_EQ(output, all_output);
    EXPECT_EQ(prompt, all_prompt);
    EXPECT_EQ(arrivals, s.offered);
    EXPECT_TRUE(running == all_running);
  }
}

/// Against sums made plainly, iteration by iteration.
TEST(Recorder, IntegralsAreThoseOfThePlainSum) {
  const History h = history(99);
  const Summary s = replay(h, false, three_stations());
  double used = 0, held = 0, running = 0, span = 0, last = 0;
  std::map<int, std::pair<Time, KvUse>> state;
  for (const Burst& r : h.runs) {  // by station, in order of time
    Time& since = state[r.station].first;
    KvUse& kept = state[r.station].second;
    auto hold = [&](Time until) {
      used += static_cast<double>(kept.used.value()) * to_seconds(until - since);
      held += static_cast<double>(kept.held.value()) * 16 * to_seconds(until - since);
      since = until;
    };
    hold(r.start);
    kept = r.use;
    for (std::int64_t j = 0; j < r.k; ++j) {
      if (j > 0) kept.held += Blocks{r.growth[static_cast<std::size_t>(j % 16)]};
      hold(r.start + r.cost.total(j + 1));
      kept.used += Tokens{r.members};
    }
    running += r.shape.sequences * to_seconds(r.cost.total(r.k));
    span += to_seconds(r.cost.total(r.k));
    last = std::max(last, to_seconds(since));
  }
  last = std::max(last, s.duration_s);
  for (auto& [station, kept] : state) {
    used += static_cast<double>(kept.second.used.value()) * (last - to_seconds(kept.first));
    held += static_cast<double>(kept.second.held.value()) * 16 * (last - to_seconds(kept.first));
  }
  const double slots = 3.0 * 1000 * 16 * last;
  EXPECT_NEAR(s.kv.used, used / slots, 1e-9 * s.kv.used);
  EXPECT_NEAR(s.kv.used + s.kv.reserved + s.kv.internal, held / slots, 1e-9 * held / slots);
  EXPECT_NEAR(s.mean_running, running / span, 1e-9 * s.mean_running);
}

/// Two replicas busy for 1 s of 4 s in all: idle power for 3 of them.
TEST(Recorder, IdleTimeCostsIdlePower) {
  RecorderConfig config = plain();
  config.stations = 2;
  config.idle_milliwatts = 100'000;
  config.usd_per_hour = 36;
  Recorder r(config);
  StepRun run;
  run.first = 1s;
  run.e_first = Energy{500'000'000'000};  // 500 J
  StepShape shape;
  shape.prefill = 10_tok;
  r.on_step(StationId{0}, 0, Time{}, Time{} + 1s, 1, shape, {}, run);
  const Summary s = r.finish({.end = Time{} + 2s});
  EXPECT_DOUBLE_EQ(s.joules, 500 + 3 * 100);
  EXPECT_DOUBLE_EQ(s.busy, 0.25);
  EXPECT_DOUBLE_EQ(s.usd, 0.02);
}

/// The engine forgets a departure, a step, or a token: finish() says so.
TEST(Recorder, BrokenHistoriesAreNamed) {
  auto tell = [](int mistake) {
    Recorder r(plain());
    r.on_arrival(at_ms(0), request(0, at_ms(0)));
    StepRun run;
    run.first = 10ms;
    StepShape prompt, decode;
    prompt.prefill = mistake == 1 ? 99_tok : 100_tok;
    decode.decodes = 1_tok;
    r.on_step(StationId{0}, 0, at_ms(0), at_ms(10), 1, prompt, {}, run);
    r.on_step(StationId{0}, 0, at_ms(10), at_ms(20), 1, decode, {}, run);
    if (mistake != 2) r.itl_run(at_ms(10), 10ms, 0ms, 1, 1);
    Row row = done(0, at_ms(0), at_ms(0), mistake == 3 ? at_ms(30) : at_ms(10), at_ms(20), 2);
    row.computed = Tokens32{101};
    if (mistake != 4) r.on_row(row);
    if (mistake == 5) r.on_arrival(at_ms(19), request(1, at_ms(19)));
    return r.finish({.end = at_ms(20), .stations = {{0_blk, mistake == 6 ? 999_blk : 1000_blk, 0_blk, 1000_blk}}});
  };
  using testing::Contains;
  using testing::HasSubstr;
  EXPECT_THAT(tell(0).broken, testing::IsEmpty());
  EXPECT_THAT(tell(1).broken, Contains(HasSubstr("tokens computed")));
  EXPECT_THAT(tell(2).broken, Contains(HasSubstr("gaps between tokens")));
  EXPECT_THAT(tell(3).broken, Contains(HasSubstr("request 0, replica 0, seed 0: times out of order")));
  EXPECT_THAT(tell(4).broken, Contains(HasSubstr("requests offered")));
  EXPECT_THAT(tell(5).broken, Contains(HasSubstr("time ran backwards at 0.019")));
  EXPECT_THAT(tell(6).broken, Contains(HasSubstr("KV blocks held + free + cached = total: 999 is not 1000")));
}

}  // namespace
}  // namespace orrery
