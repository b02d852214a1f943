/// Andes: the gain of serving a reader on figures worked out by hand, and who runs in small pictures.
#include "policies/qoe/andes.hpp"

#include <gtest/gtest.h>

#include "policies/qoe/round_robin.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

TEST(AndesExpectation, AReaderWithoutATokenGainsAllThatCanStillCome) {
  const Reading r{1, 0.2, 2, 0};                       // asked two seconds ago: wants (2 + 10) / 0.2 = 60 tokens in ten
  EXPECT_DOUBLE_EQ(r.q_serve(10, 0.05), 25.0 / 36);    // gets 50: (50 / 60)^2
  EXPECT_DOUBLE_EQ(r.q_wait(10), 0);
}

TEST(AndesExpectation, AReaderAheadOfScheduleLosesLittleByWaiting) {
  const Reading r{1, 0.2, 2, 59};                      // text until 1 + 59 * 0.2 = 12.8
  EXPECT_NEAR(r.slack(), 10.8, 1e-12);
  EXPECT_DOUBLE_EQ(r.q_serve(10, 0.05), 1);
  EXPECT_NEAR(r.q_wait(10), 1 - 1.0 / 3600, 1e-12);    // one of 60 missing
}

TEST(AndesExpectation, WhoHasReadAllThatIsThereNeedsNothingMore) {
  EXPECT_DOUBLE_EQ((Reading{1, 0.2, 0, 100}).q_wait(10), 1);
  EXPECT_DOUBLE_EQ((Reading{30, 0.2, 0, 0}).q_wait(10), 1) << "the first token is not due yet";
}

TEST(AndesExpectation, ASlowEngineServesLess) {
  EXPECT_LT((Reading{1, 0.2, 2, 20}).q_serve(10, 0.4), (Reading{1, 0.2, 2, 20}).q_serve(10, 0.2));
}

/// The picture 20 s after its calls came, with so many iterations behind its group.
StationView later(const Picture& p, std::int64_t clock = 0) {
  StationView view = p.view();
  view.now = Time{20s};
  view.group.clock = clock;
  return view;
}

/// KV is nearly full of readers who have text for a long time; one who has nothing waits.
Picture satisfied() {
  Picture p;
  p.kv(66).decoding(3, 330, {.max_tokens = 900, .emitted = 300}).waiting(200);
  return p;
}

TEST(Andes, ReadersWithTextInHandGiveWayToOneWhoHasNone) {
  const Picture picture = satisfied();
  const Planned plan = planned_by(Andes({}), later(picture));
  EXPECT_EQ(plan.left.size(), 1u);
  EXPECT_EQ(plan.admitted, (Calls{3}));
  EXPECT_EQ(plan.decoding, 2);
}

TEST(Andes, OnlyWhileKvIsShort) {
  Picture p;
  p.kv(1000).decoding(3, 330, {.max_tokens = 900, .emitted = 300}).waiting(200);
  const Planned plan = planned_by(Andes({}), later(p));
  EXPECT_TRUE(plan.left.empty());
  EXPECT_EQ(plan.admitted, (Calls{3}));
}

TEST(Andes, NobodyIsPreemptedWhileTheMostUrgentReadersHaveNoSlack) {
  Picture p;
  p.kv(66).decoding(3, 330, {.max_tokens = 900, .emitted = 0}).waiting(200);
  EXPECT_TRUE(planned_by(Andes({}), later(p)).left.empty());
}

TEST(Andes, NothingChangesWhileNobodyWaits) {
  Picture p;
  p.kv(66).decoding(3, 330, {.max_tokens = 900, .emitted = 300});
  const Planned plan = planned_by(Andes({}), later(p));
  EXPECT_EQ(plan.repeat, kForever);
  EXPECT_EQ(plan.decoding, 3);
}

TEST(RoundRobinBatching, ATurnEndsOnlyForSomebodyWhoFindsNoRoom) {
  RoundRobinBatchingConfig config;
  config.quantum = 5;
  Picture tight = satisfied(), roomy;
  roomy.kv(1000).decoding(3, 330, {.max_tokens = 900, .emitted = 300}).waiting(200);
  EXPECT_TRUE(planned_by(RoundRobinBatching(config), later(roomy, 6)).left.empty());
  const Planned plan = planned_by(RoundRobinBatching(config), later(tight, 6));
  EXPECT_EQ(plan.admitted, (Calls{3}));
  EXPECT_EQ(plan.left.size(), 1u);
}

}  // namespace
}  // namespace orrery
