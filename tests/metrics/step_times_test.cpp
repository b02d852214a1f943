/// Shares of time against sums by hand, and against single iterations.
#include "sim/metrics/step_times.hpp"

#include <gtest/gtest.h>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

std::int64_t below(Rng& rng, std::int64_t n) {
  return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n)));
}

StepRun iteration(const StepRun& run, std::int64_t j) {
  StepRun one = run;
  one.first = run.at(j);
  one.flops += j * run.flops_step;
  one.bytes += j * run.bytes_step;
  one.step = Duration{};
  one.flops_step = one.bytes_step = 0;
  return one;
}

double sum(const TimeShares& s) {
  return s.idle + s.host + s.network + s.swap + s.memory + s.compute + s.unknown + s.lost;
}

/// 3 ms an iteration for telling each other; a step without swapped KV takes 20 ms.
class Links final : public CostModel {
 public:
  StepRun price(std::span<const StepShape> members, int) const override {
    StepRun r;
    r.first = members[0].host_in > Bytes{} ? Duration{32ms} : Duration{20ms};
    return r;
  }
  Duration collectives(const StepShape&, int) const override { return 3ms; }
};

TEST(StepTimes, AStepByHand) {
  // 20 ms, of which 5 host; 10 ms of traffic and 1 ms of arithmetic at the peaks. There for 40 ms.
  StepTimes times;
  const int kind = times.kind_of({1e12, 1e11, 1, nullptr});
  StepRun run;
  run.first = 20ms;
  run.host = 5ms;
  run.bytes = run.flops = 1'000'000'000;
  times.add(kind, {}, 0, 1, run, StepTimes::Work::of(run, 1));
  const TimeShares s = times.shares(to_ps(Duration{40ms}));
  EXPECT_DOUBLE_EQ(s.idle, 0.5);
  EXPECT_DOUBLE_EQ(s.host, 0.125);
  EXPECT_DOUBLE_EQ(s.memory, 0.375);
  EXPECT_DOUBLE_EQ(s.compute, 0);
  EXPECT_DOUBLE_EQ(s.roofline, 0.5);
  EXPECT_DOUBLE_EQ(s.decode_memory, 1);
}

TEST(StepTimes, CollectivesAndSwappingAreTakenOffTheRest) {
  const Links links;
  StepTimes times;
  const int kind = times.kind_of({1e12, 1e11, 1, &links});
  StepShape shape;
  shape.prefill = 10_tok;
  shape.host_in = Bytes{1};
  StepRun run;
  run.first = 32ms;
  run.host = 2ms;
  run.flops = 20'000'000'000;
  run.bytes = 1;
  times.add(kind, shape, 0, 1, run, StepTimes::Work::of(run, 1));
  const TimeShares s = times.shares(to_ps(Duration{32ms}));
  EXPECT_DOUBLE_EQ(s.network, 3.0 / 32);
  EXPECT_DOUBLE_EQ(s.swap, 12.0 / 32);
  EXPECT_DOUBLE_EQ(s.compute, 15.0 / 32);
  EXPECT_DOUBLE_EQ(s.prompt_memory, 0);
  EXPECT_NEAR(s.idle, 0, 1e-15);
  EXPECT_DOUBLE_EQ(times.swap_s(), 0.012);
}

TEST(StepTimes, WithoutPeaksOrWorkTheTimeIsUnknown) {
  StepTimes times;
  StepRun run;
  run.first = 10ms;
  // A measured step: neither arithmetic nor traffic.
  times.add(times.kind_of({1e12, 1e11, 1, nullptr}), {}, 0, 1, run, StepTimes::Work::of(run, 1));
  run.flops = run.bytes = 1;
  times.add(times.kind_of({0, 0, 1, nullptr}), {}, 0, 1, run, StepTimes::Work::of(run, 1));
  times.add_lost(0, to_ps(Duration{5ms}));
  const TimeShares s = times.shares(to_ps(Duration{50ms}));
  EXPECT_DOUBLE_EQ(s.unknown, 0.4);
  EXPECT_DOUBLE_EQ(s.lost, 0.1);
  EXPECT_DOUBLE_EQ(s.idle, 0.5);
  EXPECT_EQ(s.roofline, 0);
}

/// Two stages are busy for half of the replica's time each, one after the other: together for half of it.
TEST(StepTimes, StagesShareTheTimeOfTheirReplica) {
  StepTimes times;
  const int kind = times.kind_of({2e12, 2e11, 2, nullptr});
  StepRun run;
  run.first = 10ms;
  run.bytes = 1'000'000'000;   // 10 ms at the bandwidth of one of the two
  times.add(kind, {}, 0, 1, run, StepTimes::Work::of(run, 1));
  times.add(kind, {}, 1, 1, run, StepTimes::Work::of(run, 1));
  const TimeShares s = times.shares(to_ps(Duration{20ms}));
  EXPECT_DOUBLE_EQ(s.memory, 0.5);
  EXPECT_DOUBLE_EQ(s.idle, 0.5);
  EXPECT_DOUBLE_EQ(s.roofline, 1);
}

StepRun drawn(Rng& rng) {
  StepRun run;
  run.first = Duration{1'000'000 + below(rng, 1'000'000)};
  run.step = Duration{below(rng, 1000)};
  run.host = Duration{below(rng, 100'000)};
  run.bytes = 1000 + below(rng, 1000);
  run.bytes_step = below(rng, 60);
  run.flops = 1000 + below(rng, 1000);
  run.flops_step = below(rng, 60);
  return run;
}

TEST(StepTimes, TheRidgeIsKeptToAPartIn500) {
  for (const double flops : {1e11, 312e12, 989e12, 2.25e15, 5e15}) {
    for (const double bytes : {5e9, 2.04e12, 4.8e12, 8e12}) {
      const Ridge r = Ridge::of(flops, bytes);
      const double kept = static_cast<double>(r.flops) / static_cast<double>(std::int64_t{1} << r.shift);
      EXPECT_NEAR(kept * bytes / flops, 1, 1.0 / 500) << flops << ' ' << bytes;
    }
  }
  EXPECT_EQ(Ridge::of(0, 1).flops, 0);
}

TEST(StepTimes, IterationsThatWaitForMemoryStandAtOneEnd) {
  Rng rng(1, Purpose::kFuzz, 0);
  int mixed = 0;
  for (int n = 0; n < 3000; ++n) {
    const StepRun run = drawn(rng);
    const std::int64_t k = 1 + below(rng, 60);
    const Ridge ridge = Ridge::of(static_cast<double>(1 + below(rng, 3)), static_cast<double>(1 + below(rng, 3)));
    const MemoryBound m = memory_bound(run, k, ridge);
    mixed += m.count > 0 && m.count < k;
    for (std::int64_t j = 0; j < k; ++j) {
      const StepRun one = iteration(run, j);
      ASSERT_EQ(one.bytes * ridge.flops >= one.flops << ridge.shift, m.first ? j < m.count : j >= k - m.count)
          << n << ' ' << j;
    }
  }
  EXPECT_GT(mixed, 100);   // or nothing was tested
}

TEST(StepTimes, KIterationsAtOnceAreKSingleOnes) {
  Rng rng(2, Purpose::kFuzz, 0);
  StepTimes at_once, single;
  for (StepTimes* t : {&at_once, &single}) t->kind_of({3, 2, 1, nullptr});
  Wide busy = 0;
  for (int n = 0; n < 500; ++n) {
    StepRun run = drawn(rng);
    if (n % 7 == 0) run.host = run.first + Duration{5};   // rounded to less than its host time
    const std::int64_t k = 1 + below(rng, 60);
    StepShape shape;
    shape.prefill = Tokens{n % 3 == 0};
    at_once.add(0, shape, 0, k, run, StepTimes::Work::of(run, k));
    for (std::int64_t j = 0; j < k; ++j) {
      const StepRun one = iteration(run, j);
      single.add_one(0, shape, 0, one);
    }
    busy += to_ps(run.total(k));
  }
  const TimeShares a = at_once.shares(2 * busy), b = single.shares(2 * busy);
  for (const auto field : {&TimeShares::idle, &TimeShares::host, &TimeShares::memory, &TimeShares::compute,
                           &TimeShares::roofline, &TimeShares::decode_memory, &TimeShares::prompt_memory})
    EXPECT_EQ(a.*field, b.*field);
  EXPECT_GT(a.memory, 0.01);
  EXPECT_GT(a.compute, 0.01);
  EXPECT_NEAR(a.idle, 0.5, 1e-12);
  EXPECT_NEAR(sum(a), 1, 1e-12);
}

}  // namespace
}  // namespace orrery
