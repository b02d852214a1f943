#include "policies/batching/s3.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "policies/kv/contiguous.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kPredicted{.reserve = PagedConfig::Reserve::kPredicted, .watermark = 0, .preempt = Leave::kSwap};

TEST(S3, PacksByDecreasingFirstFit) {
  // 100 slots. Reservations 30, 60, 50, 40: the 60 goes first, then 50 does not fit, 40 does, and nothing is left
  // for 30.
  const auto picture = Picture()
                           .kv(100, 1)
                           .policy(kPredicted)
                           .waiting(20, {.predicted = 10})
                           .waiting(40, {.predicted = 20})
                           .waiting(10, {.predicted = 40})
                           .waiting(30, {.predicted = 10});
  EXPECT_EQ(planned_by(S3({}), picture).admitted, (Calls{1, 3}));
  EXPECT_EQ(planned_by(Orca({}), picture).admitted,
            (Calls{0, 1}));   // first come first served: 30 + 60, then 50 stops it
}

TEST(S3, ReservesWhatIsPredictedNotTheMost) {
  // 2000 slots, max_tokens 1000: 100 + 100 predicted fits ten times, 100 + 1000 once.
  Picture p;
  p.kv(2000, 1).policy(kPredicted);
  for (int i = 0; i < 12; ++i) p.waiting(100, {.max_tokens = 1000, .predicted = 100});
  EXPECT_EQ(planned_by(S3({}), p).admitted.size(), 10u);
  p.policy({.reserve = PagedConfig::Reserve::kMaxNew, .watermark = 0});
  EXPECT_EQ(planned_by(S3({}), p).admitted.size(), 1u);
}

TEST(S3, AFullReservationLeavesToHostMemoryAndNobodyNewPassesIt) {
  const auto picture =
      Picture().kv(1000, 1).host(1000).policy(kPredicted).full(100, {.predicted = 50}).decoding(1, 20).waiting(10);
  const Planned plan = planned_by(S3({}), picture);
  EXPECT_EQ(plan.left, (Departures{{0, Leave::kSwap}}));
  EXPECT_EQ(plan.decoding, 1);
  EXPECT_EQ(plan.admitted, (Calls{}));
}

TEST(S3, ItComesBackWithTwiceTheRoomBeforeNewcomers) {
  const auto picture =
      Picture().kv(300, 1).policy(kPredicted).swapped(100, {.reserved = 200}).waiting(10, {.predicted = 10});
  const Planned plan = planned_by(S3({}), picture);
  EXPECT_EQ(plan.resumed, (Calls{0}));
  EXPECT_EQ(plan.available, 80);   // 300 - 200 - 20
  EXPECT_EQ(plan.admitted, (Calls{1}));
}

TEST(S3, AloneItLeavesTooAndFailsOnlyAtTheLargestLease) {
  const auto room = Picture().kv(1000, 1).host(1000).policy(kPredicted).full(100);
  EXPECT_EQ(planned_by(S3({}), room).left, (Departures{{0, Leave::kSwap}}));
  const auto none = Picture().kv(100, 1).host(1000).policy(kPredicted).full(100);
  EXPECT_EQ(planned_by(S3({}), none).left, (Departures{{0, Leave::kFail}}));
}

}  // namespace
}  // namespace orrery
