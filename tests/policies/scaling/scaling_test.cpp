/// Rules that say how many instances should serve.
#include <gtest/gtest.h>

#include "policies/scaling/schedule.hpp"
#include "policies/scaling/target.hpp"
#include "policies/scaling/threshold.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

PoolState pool(std::int32_t serving, std::int64_t waiting, std::int32_t starting = 0) {
  PoolState s;
  s.serving = serving;
  s.starting = starting;
  s.waiting = waiting;
  return s;
}

/// Kubernetes' example: 200m used at a target of 100m doubles the replicas, 50m halves them (documentation of the
/// HorizontalPodAutoscaler, algorithm details).
TEST(TargetScaling, BringsTheMetricToItsTarget) {
  TargetScaling rule({.target = 100, .stabilisation = 0s});
  EXPECT_EQ(rule.desired(pool(3, 600), at(0s)), 6);
  EXPECT_EQ(rule.desired(pool(4, 200), at(15s)), 2);
  EXPECT_EQ(rule.desired(pool(4, 201), at(30s)), 3);   // rounded up
  EXPECT_EQ(rule.desired(pool(4, 0), at(45s)), 0);
}

TEST(TargetScaling, DoesNothingWithinTheTolerance) {
  TargetScaling rule({.target = 10, .tolerance = 0.1, .stabilisation = 0s});
  EXPECT_EQ(rule.desired(pool(10, 109), at(0s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 91), at(1s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 112), at(2s)), 12);
}

TEST(TargetScaling, CountsInstancesThatStartAsIdle) {
  TargetScaling rule({.target = 10, .stabilisation = 0s});
  EXPECT_EQ(rule.desired(pool(2, 40, 2), at(0s)), 4);   // two more are on their way; not four
}

/// A lull of less than the window does not scale down; a longer one does, to the most that it asked for.
TEST(TargetScaling, ScalesDownToTheMostOfTheWindow) {
  TargetScaling rule({.target = 10, .stabilisation = 60s});
  EXPECT_EQ(rule.desired(pool(10, 90), at(0s)), 10);      // 9 within the tolerance: as it is
  EXPECT_EQ(rule.desired(pool(10, 20), at(30s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 50), at(60s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 30), at(61s)), 5);      // what was asked for at 0 s counts no more
  EXPECT_EQ(rule.desired(pool(10, 300), at(62s)), 30);    // up at once
}

TEST(TargetScaling, WhatThereWasAtTheStartCountsAsWishedFor) {
  TargetScaling rule({.target = 10, .stabilisation = 60s});
  EXPECT_EQ(rule.desired(pool(10, 0), at(0s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 0), at(60s)), 10);
  EXPECT_EQ(rule.desired(pool(10, 0), at(61s)), 0);
}

TEST(ScheduleScaling, FollowsTheClock) {
  ScheduleScaling rule({.times = {3600, 7200}, .instances = {8, 2}, .period = 24h});
  EXPECT_EQ(rule.desired(pool(1, 0), at(0s)), 2);         // yesterday's last
  EXPECT_EQ(rule.desired(pool(1, 0), at(3599s)), 2);
  EXPECT_EQ(rule.desired(pool(1, 0), at(1h)), 8);
  EXPECT_EQ(rule.desired(pool(1, 0), at(2h)), 2);
  EXPECT_EQ(rule.desired(pool(1, 0), at(25h)), 8);
}

TEST(ThresholdScaling, StepsAndRests) {
  ThresholdScaling rule({.above = 8, .below = 1, .step = 2, .cooldown = 60s});
  EXPECT_EQ(rule.desired(pool(4, 33), at(0s)), 6);
  EXPECT_EQ(rule.desired(pool(6, 99), at(59s)), 6);
  EXPECT_EQ(rule.desired(pool(6, 99), at(60s)), 8);
  EXPECT_EQ(rule.desired(pool(8, 7), at(120s)), 6);
  EXPECT_EQ(rule.desired(pool(6, 30), at(180s)), 6);      // between the two
}

TEST(Scaling, MetricsAreOfAnInstance) {
  PoolState s = pool(2, 6, 1);
  s.running = 12;
  s.kv_used = 0.6;
  s.arrivals_per_s = 9;
  EXPECT_DOUBLE_EQ(value(s, ScalingMetric::kQueueDepth), 2);
  EXPECT_DOUBLE_EQ(value(s, ScalingMetric::kRunning), 4);
  EXPECT_DOUBLE_EQ(value(s, ScalingMetric::kCalls), 6);
  EXPECT_DOUBLE_EQ(value(s, ScalingMetric::kKvUsed), 0.4);
  EXPECT_DOUBLE_EQ(value(s, ScalingMetric::kArrivals), 3);
}

}  // namespace
}  // namespace orrery
