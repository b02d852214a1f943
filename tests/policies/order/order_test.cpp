#include <gtest/gtest.h>

#include <algorithm>

#include "policies/order/edf.hpp"
#include "policies/order/fcfs.hpp"
#include "policies/order/lpm.hpp"
#include "policies/order/mlfq.hpp"
#include "policies/order/priority.hpp"
#include "policies/order/sjf.hpp"
#include "policies/order/srpt.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

struct Job {
  int arrival_s = 0, prompt = 10, max = 100, predicted = 0, emitted = 0, computed = 0, priority = 0, deadline_s = -1;
};

/// The order in which jobs are served, by index.
Calls served(const QueueOrder& order, const std::vector<Job>& jobs) {
  std::vector<std::pair<std::int64_t, int>> keys;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& j = jobs[i];
    Call c;
    c.number = i;
    c.arrival = Time{} + std::chrono::seconds(j.arrival_s);
    if (j.deadline_s >= 0) c.deadline = Time{} + std::chrono::seconds(j.deadline_s);
    c.prompt = Tokens32{j.prompt};
    c.max_tokens = Tokens32{j.max};
    c.predicted_high = Tokens32{j.predicted};
    c.priority = static_cast<std::int16_t>(j.priority);
    Progress p;
    p.emitted = Tokens32{j.emitted};
    p.computed = Tokens32{j.computed};
    keys.emplace_back(order.key(CallId{}, c, p, nullptr), static_cast<int>(i));
  }
  std::sort(keys.begin(), keys.end());
  Calls out;
  for (auto [key, i] : keys) out.push_back(i);
  return out;
}

TEST(Fcfs, ServesByArrival) {
  EXPECT_EQ(served(Fcfs({}), {{.arrival_s = 5}, {.arrival_s = 3}, {.arrival_s = 5}}), (Calls{1, 0, 2}));
}

TEST(Priority, LevelsAreStrictWithoutAging) {
  const std::vector<Job> jobs{
      {.arrival_s = 0, .priority = 2}, {.arrival_s = 100000, .priority = 1}, {.arrival_s = 7, .priority = 1}};
  EXPECT_EQ(served(Priority({}), jobs), (Calls{2, 1, 0}));
}

TEST(Priority, WithAgingAWaitMakesUpForALevel) {
  const Priority aging({.aging = from_seconds(10)});
  EXPECT_EQ(served(aging, {{.arrival_s = 0, .priority = 1}, {.arrival_s = 9, .priority = 0}}), (Calls{1, 0}));
  EXPECT_EQ(served(aging, {{.arrival_s = 0, .priority = 1}, {.arrival_s = 11, .priority = 0}}), (Calls{0, 1}));
}

TEST(Priority, TheKeyFitsTheWholeRangeOfPrioritiesAndTimes) {
  const std::vector<Job> jobs{{.arrival_s = 9000000, .priority = 32767}, {.arrival_s = 0, .priority = -32768}};
  EXPECT_EQ(served(Priority({}), jobs), (Calls{1, 0}));
  EXPECT_EQ(served(Priority({.aging = from_seconds(86400)}), jobs), (Calls{1, 0}));
}

TEST(Sjf, ServesThePredictedShortestAndFallsBackToMaxTokens) {
  EXPECT_EQ(served(Sjf({}), {{.predicted = 50}, {.predicted = 20}, {.max = 30}}), (Calls{1, 2, 0}));
}

TEST(Sjf, MayCountThePrompt) {
  EXPECT_EQ(served(Sjf({.prompt_weight = 0.1}), {{.prompt = 1000, .predicted = 10}, {.prompt = 10, .predicted = 50}}),
            (Calls{1, 0}));
}

TEST(Srpt, CountsWhatIsLeftAfterAPreemption) {
  const std::vector<Job> jobs{{.predicted = 50, .emitted = 45}, {.predicted = 20}};
  EXPECT_EQ(served(Srpt({}), jobs), (Calls{0, 1}));
  EXPECT_EQ(served(Sjf({}), jobs), (Calls{1, 0}));   // the nearest neighbour
}

TEST(Srpt, APredictionThatWasTooShortLeavesNothing) {
  EXPECT_EQ(served(Srpt({}), {{.predicted = 20, .emitted = 45}, {.predicted = 1}}), (Calls{0, 1}));
}

TEST(Edf, ServesByDeadlineAndThoseWithoutLast) {
  EXPECT_EQ(served(Edf({}), {{}, {.arrival_s = 1, .deadline_s = 9}, {.arrival_s = 2, .deadline_s = 5}}),
            (Calls{2, 1, 0}));
}

TEST(Mlfq, SkipsLevelsWhoseQuantumThePromptExceeds) {
  // quanta 256, 512, 1024: prompts of 1000 join level 2, of 300 level 1, of 256 level 0.
  EXPECT_EQ(served(Mlfq({}), {{.prompt = 1000}, {.prompt = 300}, {.prompt = 256}}), (Calls{2, 1, 0}));
}

TEST(Mlfq, SinksAsQuantaAreUsedUp) {
  EXPECT_EQ(served(Mlfq({}), {{.emitted = 256}, {.emitted = 255}}), (Calls{1, 0}));
  EXPECT_EQ(served(Mlfq({}), {{.emitted = 768}, {.prompt = 300, .emitted = 0}}), (Calls{1, 0}));   // 256 + 512: level 2
}

TEST(Mlfq, NobodyStarves) {
  const Mlfq mlfq({.promote = from_seconds(10)});
  EXPECT_EQ(served(mlfq, {{.arrival_s = 0, .prompt = 300}, {.arrival_s = 9}}), (Calls{1, 0}));
  EXPECT_EQ(served(mlfq, {{.arrival_s = 0, .prompt = 300}, {.arrival_s = 11}}), (Calls{0, 1}));
}

/// Tokens until the call sinks by a level: quanta 256, 512, 1024, ...
TEST(Mlfq, IsSteadyUntilTheQuantumOfItsLevelIsUsedUp) {
  auto steady = [](const Mlfq& mlfq, int prompt, int emitted) {
    Call c;
    c.prompt = Tokens32{prompt};
    Progress p;
    p.emitted = Tokens32{emitted};
    return mlfq.steady(c, p);
  };
  EXPECT_EQ(steady(Mlfq({}), 10, 0), 256_tok);
  EXPECT_EQ(steady(Mlfq({}), 10, 255), 1_tok);
  EXPECT_EQ(steady(Mlfq({}), 10, 256), 512_tok);
  EXPECT_EQ(steady(Mlfq({}), 300, 12), 500_tok);
  EXPECT_EQ(steady(Mlfq({.levels = 2}), 300, 12), Tokens::max()) << "the last level is for ever";
}

TEST(Orders, ThatPreempt) {
  EXPECT_TRUE(Mlfq({}).preempts());
  EXPECT_TRUE(Srpt({.preemptive = true}).preempts());
  EXPECT_FALSE(Srpt({}).preempts());
  EXPECT_FALSE(Sjf({}).preempts());
}

TEST(Lpm, TheLongestCachedPrefixFirst) {
  Picture p;
  p.waiting(100, {.cached = 16}).waiting(100, {.cached = 64}).waiting(100);
  const StationView v = p.view();
  auto key = [&](const Lpm& lpm, int i) { return lpm.key(p.id(i), v.call(p.id(i)), v.progress(p.id(i)), &v); };
  const Lpm lpm({}), short_queue({.fcfs_above = 2});
  EXPECT_LT(key(lpm, 1), key(lpm, 0));
  EXPECT_LT(key(lpm, 0), key(lpm, 2));
  EXPECT_EQ(key(short_queue, 1), key(short_queue, 0));   // three wait: first come first served
  EXPECT_TRUE(lpm.dynamic());
  EXPECT_EQ(served(lpm, {{.arrival_s = 0}, {.arrival_s = 1}}), (Calls{0, 1}));   // no cache in sight
}

}  // namespace
}  // namespace orrery
