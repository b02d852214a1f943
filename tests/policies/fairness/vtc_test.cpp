/// VTC: counters with the values of the paper's rules, the lift, weights, predictions. Its bound: tests/differential.
#include "policies/fairness/vtc.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kUnit = Vtc::kUnit;

/// Calls of tenants, told to a policy as a station would.
class Story {
 public:
  explicit Story(VtcConfig config) : vtc(config) {}
  CallId arrives(std::uint16_t tenant, int prompt, int predicted = 0, std::uint16_t of_class = 0) {
    calls_.push_back({.number = calls_.size(), .prompt = Tokens32{prompt}, .max_tokens = {}, .predicted_low = {},
                      .predicted_high = Tokens32{predicted}, .tenant = tenant, .request_class = of_class});
    const CallId id{static_cast<std::uint32_t>(calls_.size() - 1), 0};
    tell(CallEvent::kArrived, id);
    return id;
  }
  void tell(CallEvent::Kind kind, CallId id) { vtc.on_event({kind, id, &calls_[id.index], Time{}, 0}); }
  void decode(std::vector<CallId> members, std::int64_t steps) {
    GroupView group;
    group.members = members;
    vtc.on_steps(steps, group);
  }
  Vtc vtc;

 private:
  std::vector<Call> calls_;
};

TEST(Vtc, ChargesPromptsAtAdmissionAndOutputAsItComes) {
  Story s({});
  const CallId a = s.arrives(1, 100);
  EXPECT_EQ(s.vtc.counter(1), 0);
  s.tell(CallEvent::kAdmitted, a);
  EXPECT_EQ(s.vtc.counter(1), 100 * kUnit);
  s.tell(CallEvent::kFirstToken, a);
  s.decode({a}, 9);
  EXPECT_EQ(s.vtc.counter(1), (100 + 2 * 10) * kUnit);
}

TEST(Vtc, ATenantWhoComesBackIsLiftedToTheLeastOfThoseWhoWait) {
  for (const bool lift : {true, false}) {
    VtcConfig config;
    config.lift = lift;
    Story s(config);
    const CallId a = s.arrives(1, 500);
    s.tell(CallEvent::kAdmitted, a);
    s.arrives(1, 100);                                     // tenant 1 has 500 and waits
    s.arrives(2, 100);
    EXPECT_EQ(s.vtc.counter(2), lift ? 500 * kUnit : 0) << "least counter first saves credit up";
    s.arrives(2, 100);
    EXPECT_EQ(s.vtc.counter(2), lift ? 500 * kUnit : 0) << "only who had nothing in the queue";
  }
}

TEST(Vtc, NobodyIsLiftedWhereNobodyWaits) {
  Story s({});
  const CallId a = s.arrives(1, 500);
  s.tell(CallEvent::kAdmitted, a);
  s.arrives(2, 100);
  EXPECT_EQ(s.vtc.counter(2), 0);
}

TEST(Vtc, WeightsDivideTheCharge) {
  Story s({});
  const std::vector<ServiceClass> classes{{.weight = 1}, {.weight = 4}};
  s.vtc.on_start(classes);
  const CallId a = s.arrives(1, 100, 0, 1);
  s.tell(CallEvent::kAdmitted, a);
  s.decode({a}, 2);
  EXPECT_EQ(s.vtc.counter(1), 26 * kUnit);
}

TEST(Vtc, APredictionIsChargedAheadAndCorrectedBothWays) {
  VtcConfig config;
  config.charge_predicted = true;
  Story s(config);
  const CallId more = s.arrives(1, 10, 5), less = s.arrives(2, 10, 5);
  for (const CallId id : {more, less}) s.tell(CallEvent::kAdmitted, id);
  EXPECT_EQ(s.vtc.counter(1), (10 + 2 * 5) * kUnit);
  for (const CallId id : {more, less}) s.tell(CallEvent::kFirstToken, id);
  s.decode({more, less}, 2);
  EXPECT_EQ(s.vtc.counter(1), (10 + 2 * 5) * kUnit) << "covered";
  s.tell(CallEvent::kFinished, less);
  EXPECT_EQ(s.vtc.counter(2), (10 + 2 * 3) * kUnit) << "three came";
  s.decode({more}, 4);
  EXPECT_EQ(s.vtc.counter(1), (10 + 2 * 7) * kUnit) << "seven came";
}

TEST(Vtc, RanksByVirtualStartSoThatTheSmallestCounterGoesNext) {
  Story s({});
  // tenant 0 waits with prompts of 100 and 100, tenant 1 with 30, 30 and 300: in the order of admission 0 a 100; 1 at
  // 30, then 60; 0 at 100; 1 has 60 and its 300 goes before
  Picture p;
  p.waiting(100).waiting(100).waiting(30).waiting(30).waiting(300);
  for (int prompt : {100, 100}) s.arrives(0, prompt);
  for (int prompt : {30, 30, 300}) s.arrives(1, prompt);
  StationView view = p.view();
  std::vector<CallRow> rows(view.rows.begin(), view.rows.end());
  for (std::size_t i = 2; i < rows.size(); ++i) rows[i].call.tenant = 1;
  view.rows = rows;
  std::vector<std::int64_t> keys(5);
  s.vtc.rank(view, keys);
  EXPECT_EQ(keys, (std::vector<std::int64_t>{0, 100 * kUnit, 0, 30 * kUnit, 60 * kUnit}));
}

}  // namespace
}  // namespace orrery
