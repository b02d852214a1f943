#include "policies/batching/sequence_scheduling.hpp"

#include <gtest/gtest.h>

#include "policies/batching/static_batching.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

SequenceScheduling told_of(SequenceSchedulingConfig config, const Picture& p) {
  SequenceScheduling s(config);
  const StationView v = p.view();
  for (CallId id : v.waiting) s.on_event({CallEvent::kArrived, id, &v.call(id), Time{}, 0});
  return s;
}

TEST(SequenceScheduling, BatchesSimilarLengthsShortestFirst) {
  Picture p;
  for (int length : {300, 20, 310, 30, 120}) p.waiting(10, {.max_tokens = 512, .predicted = length});
  const auto fixed = told_of({.max_running = 2, .vbs = false}, p);
  EXPECT_EQ(planned_by(fixed, p).admitted, (Calls{1, 3}));
  EXPECT_EQ(planned_by(StaticBatching({.max_running = 2}), p).admitted, (Calls{0, 1}));   // the nearest neighbour
}

TEST(SequenceScheduling, AGroupIsFinishedBeforeTheNextBegins) {
  Picture p;
  for (int length : {100, 100, 20}) p.waiting(10, {.predicted = length});
  auto s = told_of({.group = 2, .max_running = 1, .vbs = false}, p);
  EXPECT_EQ(planned_by(s, p).admitted, (Calls{0}));   // the third is shorter, but of the next group
  s.on_event({CallEvent::kAdmitted, p.id(0), &p.view().call(p.id(0)), Time{}, 0});
  Picture later;                                      // the first is done; calls 1 and 2 still wait
  later.held(10).waiting(10, {.predicted = 100}).waiting(10, {.predicted = 20});
  StationView v = later.view();
  v.held = {};
  EXPECT_EQ(planned_by(s, v).admitted, (Calls{1}));
}

TEST(SequenceScheduling, StopsAtTheBucketsBoundAndRestartsTheRest) {
  const SequenceScheduling s({});
  const CallSetup predicted{.max_tokens = 512, .predicted = 70, .emitted = 40};
  const Planned running = planned_by(s, Picture().decoding(2, 140, predicted));
  EXPECT_EQ(running.repeat, 60);                      // 70 rounds up to 100, 40 are out
  const Planned stopped =
      planned_by(s, Picture().decoding(2, 140, {.max_tokens = 512, .predicted = 70, .emitted = 100}));
  EXPECT_EQ(stopped.left, (Departures{{0, Leave::kRestart}, {1, Leave::kRestart}}));
  EXPECT_EQ(planned_by(SequenceScheduling({.fcr = false}), Picture().decoding(2, 140, predicted)).repeat > 1000000,
            true);
}

TEST(SequenceScheduling, FailuresRunLastAndToTheirEnd) {
  Picture p;
  p.waiting(10, {.predicted = 20, .preemptions = 1}).waiting(10, {.predicted = 400});
  EXPECT_EQ(planned_by(told_of({}, p), p).admitted, (Calls{1}));
  const Planned retry = planned_by(SequenceScheduling({}),
                                   Picture().decoding(1, 300, {.predicted = 20, .emitted = 200, .preemptions = 1}));
  EXPECT_TRUE(retry.left.empty());
}

TEST(VariableBatchSize, IsThePapersTable) {
  EXPECT_EQ(batch_size(50_tok), 256u);
  EXPECT_EQ(batch_size(100_tok), 128u);
  EXPECT_EQ(batch_size(150_tok), 64u);
  EXPECT_EQ(batch_size(200_tok), 32u);
  EXPECT_EQ(batch_size(250_tok), 16u);
  EXPECT_EQ(batch_size(500_tok), 16u);
}

std::vector<Sized> calls(std::vector<std::pair<int, int>> counts) {   // (bucket, how many)
  std::vector<Sized> out;
  for (auto [bucket, n] : counts) out.insert(out.end(), static_cast<std::size_t>(n), Sized{Tokens{bucket}, CallId{}});
  return out;
}

TEST(VariableBatchSize, FullBatchesOfTheShortestFirst) {
  auto c = calls({{50, 300}, {100, 128}});
  EXPECT_EQ(next_batch(c), 256u);
  auto half = calls({{50, 128}, {100, 128}});
  EXPECT_EQ(next_batch(half), 128u);                  // half a batch is enough
}

TEST(VariableBatchSize, WhatIsLeftMovesBehindTheNextBucket) {
  auto c = calls({{50, 127}, {100, 10}, {300, 5}});   // 127 < 256 / 2: joins the 10 of bucket 100
  EXPECT_EQ(next_batch(c), 128u);
  EXPECT_EQ(c[9].length, 100_tok);
  EXPECT_EQ(c[10].length, 50_tok);
  auto few = calls({{50, 3}, {100, 4}, {300, 5}});    // 3, then 7 < 128 / 2, all end up in the last bucket
  EXPECT_EQ(next_batch(few), 12u);
  EXPECT_EQ(few[0].length, 300_tok);
}

TEST(VariableBatchSize, TheLargestBucketRunsHoweverFew) {
  auto c = calls({{300, 2}});
  EXPECT_EQ(next_batch(c), 2u);
}

}  // namespace
}  // namespace orrery
