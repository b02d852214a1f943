/// The control law of POLCA and of its baselines, by the golden values of the spec card: power over budget in, orders
/// out.
#include <gtest/gtest.h>

#include <string>

#include "policies/power/no_cap.hpp"
#include "policies/power/one_threshold_all.hpp"
#include "policies/power/one_threshold_low.hpp"
#include "policies/power/polca.hpp"

namespace orrery {
namespace {

/// A row that notes what it is ordered. Orders take effect when told to.
class Row_ final : public PowerControl {
 public:
  void set_clock(ServerPriority p, int megahertz) override {
    int& last = ordered_[static_cast<int>(p)];
    if (last == megahertz) return;
    last = megahertz;
    log += (p == ServerPriority::kLow ? "low " : "high ") + std::to_string(megahertz) + ";";
  }
  int ordered(ServerPriority p) const override { return ordered_[static_cast<int>(p)]; }
  int in_force(ServerPriority p) const override { return in_force_[static_cast<int>(p)]; }
  void brake(bool on) override {
    if (on != braking_) log += on ? "brake;" : "release;";
    braking_ = on;
  }
  bool braking() const override { return braking_; }
  void take_effect() { in_force_[0] = ordered_[0], in_force_[1] = ordered_[1]; }

  /// Orders at a sample of so many thousandths of the budget.
  std::string at(PowerPolicy& policy, std::int64_t per_mille, bool braked = false) {
    log.clear();
    policy.on_sample({.now = {}, .milliwatts = per_mille * 1000, .budget = 1'000'000, .braked = braked}, *this);
    return log;
  }
  std::string log;

 private:
  int ordered_[2] = {}, in_force_[2] = {};
  bool braking_ = false;
};

TEST(Polca, CapsLowPriorityAtT1AndLiftsItFivePercentBelow) {
  Polca policy({});
  Row_ row;
  EXPECT_EQ(row.at(policy, 800), "");
  EXPECT_EQ(row.at(policy, 801), "low 1275;");
  EXPECT_EQ(row.at(policy, 820), "");
  EXPECT_EQ(row.at(policy, 750), "");
  EXPECT_EQ(row.at(policy, 749), "low 0;");
}

TEST(Polca, PastT2SlowsLowPriorityAndHighOnlyIfThatDidNotHelp) {
  Polca policy({});
  Row_ row;
  EXPECT_EQ(row.at(policy, 891), "low 1110;");
  EXPECT_EQ(row.at(policy, 900), "");          // not in force yet
  row.take_effect();
  EXPECT_EQ(row.at(policy, 890), "");          // 89 % is not above it
  EXPECT_EQ(row.at(policy, 895), "high 1305;");
  EXPECT_EQ(row.at(policy, 840), "");
  EXPECT_EQ(row.at(policy, 839), "high 0;low 1275;");
  EXPECT_EQ(row.at(policy, 749), "low 0;");
}

TEST(Polca, BrakesPastTheBudgetAndNobodyUncapsOnWhatTheBrakeShaped) {
  Polca policy({});
  Row_ row;
  EXPECT_EQ(row.at(policy, 1000), "low 1110;");
  EXPECT_EQ(row.at(policy, 1001), "brake;");
  EXPECT_EQ(row.at(policy, 960, true), "");
  EXPECT_EQ(row.at(policy, 400, true), "release;");
  EXPECT_EQ(row.at(policy, 400, true), "");
  EXPECT_EQ(row.at(policy, 400, false), "low 0;");
}

/// The same samples, four policies: who slows down.
TEST(PowerPolicies, DifferInWhomTheySlowDown) {
  const auto story = [](PowerPolicy& policy) {
    Row_ row;
    std::string all;
    for (const int p : {820, 900, 900, 1010}) {
      all += row.at(policy, p) + "/";
      row.take_effect();
    }
    return all;
  };
  Polca polca({});
  OneThresholdLow low({});
  OneThresholdAll everybody(OneThresholdConfig{});
  NoCap none({});
  EXPECT_EQ(story(polca), "low 1275;/low 1110;/high 1305;/brake;/");
  EXPECT_EQ(story(low), "/low 1110;//brake;/");
  EXPECT_EQ(story(everybody), "/low 1110;high 1110;//brake;/");
  EXPECT_EQ(story(none), "///brake;/");
}

TEST(PowerPolicies, OneThresholdIsLiftedFivePercentBelow) {
  OneThresholdAll policy(OneThresholdConfig{});
  Row_ row;
  EXPECT_EQ(row.at(policy, 891), "low 1110;high 1110;");
  EXPECT_EQ(row.at(policy, 840), "");
  EXPECT_EQ(row.at(policy, 839), "low 0;high 0;");
}

}  // namespace
}  // namespace orrery
