/// Rows with a power budget, and signals: telemetry against arithmetic, orders at their instants, what is metered is
/// what was spent; fast-forwarded runs equal stepped ones.
#include <gtest/gtest.h>

#include <functional>

#include "tests/cluster/support.hpp"
#include "tests/differential/fuzz.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// Steps that take `slower` times as long and draw `milliwatts` while they run.
class DrawingCost final : public CostModel {
 public:
  DrawingCost(const CostModel& base, std::int64_t slower, std::int64_t milliwatts)
      : base_(&base), slower_(slower), milliwatts_(milliwatts) {}
  StepRun price(std::span<const StepShape> members, int stage) const override {
    StepRun r = base_->price(members, stage);
    r.first *= slower_, r.step *= slower_;
    r.e_first = Energy{to_ps(r.first) / 1'000'000 * milliwatts_};   // of whole microseconds: 1 mW us is 1 nJ
    r.e_step = Energy{to_ps(r.step) / 1'000'000 * milliwatts_};
    return r;
  }
  Duration hop(Tokens t) const override { return base_->hop(t); }
  int stages() const override { return base_->stages(); }

 private:
  const CostModel* base_;
  std::int64_t slower_, milliwatts_;
};

constexpr int kCap = 1000, kHalt = 100;   // MHz

/// Does what a test says at each sample, and keeps the samples.
class Scripted final : public PowerPolicy {
 public:
  using Script = std::function<void(const PowerSample&, PowerControl&)>;
  explicit Scripted(Script script = {}) : script_(std::move(script)) {}
  void on_sample(const PowerSample& s, PowerControl& row) override {
    samples.push_back(s);
    if (script_) script_(s, row);
  }
  std::vector<int> clocks() const override { return {kCap, kHalt}; }
  int brake_clock() const override { return kHalt; }
  std::vector<PowerSample> samples;

 private:
  Script script_;
};

struct PowerRun {
  std::map<std::uint64_t, Row> rows;
  std::vector<std::string> actions;
  Outcome outcome;
};

struct RowOptions {
  Duration telemetry = 1s, cap_delay = 4s, brake_delay = 500ms;
  std::int64_t budget_mw = 1'000'000, base_mw = 0, per_mille = 0, idle_mw = 60'000;
  std::int64_t low_from = 1 << 30;              ///< stations from here on have the low priority
  const ClusterParts* cluster = nullptr;
  const TariffParts* tariff = nullptr;
  bool fast_forward = true;
  double usd_per_hour = 0;
};

/// 300 W at full speed; capped twice as slow at 150 W; halted ten times as slow at 70 W. Idle 60 W.
PowerRun run_row(const Scenario& scenario, PowerPolicy& policy, const RowOptions& o) {
  const ScenarioPolicies policies(scenario);
  const DrawingCost full(policies.cost, 1, 300'000), capped(policies.cost, 2, 150'000),
      halted(policies.cost, 10, 70'000);
  ModelExecutor at_full(full), at_cap(capped), at_halt(halted);
  ScenarioSource source(scenario);
  Rows rows;
  Actions actions;
  PowerParts power;
  power.actions = &actions;
  PowerDomainParts d;
  d.name = "row";
  d.budget_mw = o.budget_mw;
  d.telemetry = o.telemetry;
  d.cap_delay = o.cap_delay;
  d.brake_delay = o.brake_delay;
  d.policy = &policy;
  for (std::int32_t i = 0; i < scenario.stations; ++i)
    d.members.push_back({StationId{i},
                         i < o.low_from ? ServerPriority::kHigh : ServerPriority::kLow,
                         o.base_mw,
                         o.per_mille,
                         {{0, &at_full, &full}, {kCap, &at_cap, &capped}, {kHalt, &at_halt, &halted}}});
  power.domains.push_back(d);
  EngineOptions options{.fast_forward = o.fast_forward};
  options.executor = [&](std::size_t, const KvConfig&) { return &at_full; };
  options.cluster = o.cluster;
  options.power = &power;
  options.tariff = o.tariff;
  options.idle_milliwatts = o.idle_mw;
  options.usd_per_hour = o.usd_per_hour;
  PowerRun run;
  run.outcome = run_engine(scenario, source, options, &rows, &actions);
  run.rows = std::move(rows.rows);
  run.actions = std::move(actions.lines);
  return run;
}

PowerRun run_row(const std::string& text, PowerPolicy& policy, const RowOptions& o = {}) {
  return run_row(parse_scenarios(text, "test").front(), policy, o);
}

constexpr const char* kEngine = "engine batching=sarathi stations=1 kv_blocks=1000 block=16  cost: 100ms\n";

std::vector<std::int64_t> watts(const Scripted& policy) {
  std::vector<std::int64_t> out;
  for (const PowerSample& s : policy.samples) out.push_back(s.milliwatts / 1000);
  return out;
}

/// Idle for 1.5 s, then 21 steps of 100 ms, then idle until another call comes at 5 s.
TEST(Power, ASampleIsTheMeanSinceTheLastOne) {
  Scripted policy;
  const auto run = run_row(std::string(kEngine) + "t=1500ms a prompt=10 out=21\nt=5s b prompt=10 out=1\n", policy);
  EXPECT_EQ(watts(policy), (std::vector<std::int64_t>{60, 180, 300, 204, 60}));
  ASSERT_EQ(run.outcome.power.size(), 1u);
  EXPECT_DOUBLE_EQ(run.outcome.power[0].peak_w, 300);
  EXPECT_DOUBLE_EQ(run.outcome.power[0].rise_5s_w, 240);
  EXPECT_EQ(run.outcome.power[0].samples, 5);
}

/// A sample in the middle of a run of iterations, and in the middle of an iteration, counts the part that is done.
TEST(Power, PartsOfStepsCountWhereTheyAre) {
  Scripted policy;
  run_row(std::string(kEngine) + "t=0ms a prompt=10 out=40\n", policy, {.telemetry = 330ms});
  for (const PowerSample& s : policy.samples) EXPECT_EQ(s.milliwatts, 300'000) << to_seconds(s.now);
}

/// 40 W always and half a watt for each of the devices'.
TEST(Power, TheRestOfAServerCounts) {
  Scripted policy;
  run_row(std::string(kEngine) + "t=1s a prompt=10 out=11\nt=3s b prompt=10 out=1\n", policy,
          {.base_mw = 40'000, .per_mille = 500});
  EXPECT_EQ(watts(policy), (std::vector<std::int64_t>{60 + 30 + 40, 300 + 150 + 40, 84 + 42 + 40}));
}

/// Ordered at 1 s; in force at 5 s, which is a boundary: steps of 200 ms from then on.
TEST(Power, AClockTakesEffectAfterItsDelayAtTheNextBoundary) {
  Scripted policy([](const PowerSample& s, PowerControl& row) {
    if (s.now == at(1s)) row.set_clock(ServerPriority::kHigh, kCap);
    EXPECT_EQ(row.ordered(ServerPriority::kHigh), kCap);
    EXPECT_EQ(row.in_force(ServerPriority::kHigh), s.now < at(5s) ? 0 : kCap);
  });
  const auto run = run_row(std::string(kEngine) + "t=0ms a prompt=10 out=60\n", policy);
  EXPECT_EQ(run.rows.at(0).finish, at(5s + 10 * 200ms));
  EXPECT_DOUBLE_EQ(run.outcome.power[0].capped_s, 2);
  EXPECT_EQ(run.outcome.power[0].caps, 1);
  EXPECT_EQ(watts(policy).back(), 150);
}

/// 30 ms later than a boundary the step under way goes on at full speed.
TEST(Power, AStepUnderWayKeepsItsClock) {
  Scripted policy([](const PowerSample&, PowerControl& row) { row.set_clock(ServerPriority::kHigh, kCap); });
  const auto run = run_row(std::string(kEngine) + "t=0ms a prompt=10 out=60\n", policy, {.cap_delay = 4030ms});
  EXPECT_EQ(run.rows.at(0).finish, at(5100ms + 9 * 200ms));
}

TEST(Power, PrioritiesHaveTheirOwnClocks) {
  Scripted policy([](const PowerSample&, PowerControl& row) { row.set_clock(ServerPriority::kLow, kCap); });
  const auto run = run_row(
      "engine batching=sarathi stations=2 router=round-robin kv_blocks=1000 block=16  cost: 100ms\n"
      "t=0ms a prompt=10 out=60\nt=0ms b prompt=10 out=60\n",
      policy, {.low_from = 1});
  EXPECT_EQ(run.rows.at(0).finish, at(6s));
  EXPECT_EQ(run.rows.at(1).finish, at(7s));
}

/// Ordered at 1 s, on from 1.5 s; let go at the next sample, off from 2.5 s: one step of a second in between.
TEST(Power, TheBrakeHaltsAllAndLetsGo) {
  Scripted policy([](const PowerSample& s, PowerControl& row) {
    if (s.now == at(1s)) row.brake(true);
    if (s.now == at(2s)) {
      EXPECT_TRUE(row.braking());
      EXPECT_TRUE(s.braked);
      row.brake(false);
    }
  });
  const auto run = run_row(std::string(kEngine) + "t=0ms a prompt=10 out=20\n", policy);
  EXPECT_EQ(run.rows.at(0).finish, at(2500ms + 4 * 100ms));
  EXPECT_EQ(run.outcome.power[0].brakes, 1);
  EXPECT_DOUBLE_EQ(run.outcome.power[0].braked_s, 1);
}

/// A slow-down that befell the station before stays: three times, then three times twice.
TEST(Power, AClockComposesWithASlowDown) {
  class Here final : public ClusterPolicy {
    Placement route(CallId, Cluster&, Rng) override { return Placement::at(StationId{0}); }
  } here;
  ClusterParts cluster;
  cluster.policy = &here;
  cluster.pools = {{.name = "main", .kv_bytes_per_token = Bytes{1}}};
  cluster.happenings = {
      {.kind = Happening::kSlow, .at = at(1s), .station = StationId{0}, .delay = {}, .per_mille = 3000}};
  Scripted policy([](const PowerSample&, PowerControl& row) { row.set_clock(ServerPriority::kHigh, kCap); });
  const auto run =
      run_row(std::string(kEngine) + "t=0ms a prompt=10 out=30\n", policy, {.cap_delay = 3s, .cluster = &cluster});
  EXPECT_EQ(run.rows.at(0).finish, at(4s + 10 * 600ms));   // 10 by 1 s, 10 more by 4 s
}

/// The row is told of nothing once the last answer is out, and orders on their way keep no run alive.
TEST(Power, TelemetryKeepsNoRunAlive) {
  Scripted policy([](const PowerSample&, PowerControl& row) { row.set_clock(ServerPriority::kHigh, kCap); });
  const auto run = run_row(std::string(kEngine) + "t=0ms a prompt=10 out=15\n", policy, {.cap_delay = 1h});
  EXPECT_EQ(run.outcome.summary.duration_s, 1.5);
  EXPECT_EQ(policy.samples.size(), 1u);
}

/// POLCA's brake line as a property: a row that brakes past its budget is above it for no longer than the brake takes,
/// a step and the sample in which it is seen.
TEST(Power, NobodyStaysPastTheBudgetForLongerThanTheBrakeTakes) {
  Scripted policy([](const PowerSample& s, PowerControl& row) {
    if (s.milliwatts > s.budget) row.brake(true);
    else if (row.braking() && s.milliwatts < s.budget * 9 / 10) row.brake(false);
  });
  std::string calls;
  for (int i = 0; i < 40; ++i) calls += "t=" + std::to_string(i) + "s c" + std::to_string(i) + " prompt=10 out=12\n";
  const auto run = run_row(std::string(kEngine) + calls, policy, {.budget_mw = 200'000});
  int above = 0, longest = 0;
  for (const PowerSample& s : policy.samples) {
    above = s.milliwatts > s.budget ? above + 1 : 0;
    longest = std::max(longest, above);
  }
  EXPECT_GT(run.outcome.power[0].brakes, 3);
  EXPECT_LE(longest, 2);   // telemetry 1 s, brake 0.5 s, a step 0.1 s
}

/// Random scenarios, pipelines and preemptions included, under a policy that orders something at every sample:
/// identities hold (the runner checks them), and stepping gives the same.
TEST(Power, FastForwardEqualsStepping) {
  int compared = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const Scenario s = random_scenario(1, seed);
    RowOptions o{.telemetry = 7ms, .cap_delay = 20ms, .brake_delay = 3ms, .low_from = s.stations / 2};
    o.base_mw = 5'000, o.per_mille = 300;
    const StepSignal price({{Time{}, 1'000'000'000}, {at(31ms), 3'000'000'000}, {at(90ms), 500'000'000}});
    const StepSignal carbon({{Time{}, 300'000'000}, {at(43ms), 50'000'000}});
    TariffParts tariff;
    tariff.carbon = &carbon;
    tariff.price.assign(static_cast<std::size_t>(s.stations), &price);
    o.tariff = &tariff;
    PowerRun runs[2];
    std::vector<std::int64_t> samples[2];
    for (const bool fast : {true, false}) {
      Rng rng(seed, Purpose::kFuzz, 9);
      Scripted policy([&](const PowerSample&, PowerControl& row) {
        constexpr int clocks[] = {0, kCap, kHalt};
        row.set_clock(rng.below(2) == 0 ? ServerPriority::kLow : ServerPriority::kHigh, clocks[rng.below(3)]);
        row.brake(rng.below(4) == 0);
      });
      o.fast_forward = fast;
      runs[fast] = run_row(s, policy, o);
      for (const PowerSample& x : policy.samples) samples[fast].push_back(x.milliwatts);
    }
    ASSERT_EQ(samples[0], samples[1]) << "seed " << seed;
    ASSERT_EQ(runs[0].outcome.fingerprint, runs[1].outcome.fingerprint) << "seed " << seed;
    ASSERT_EQ(runs[0].outcome.grams, runs[1].outcome.grams) << "seed " << seed;
    ASSERT_EQ(runs[0].outcome.summary.usd, runs[1].outcome.summary.usd) << "seed " << seed;
    compared += samples[0].size() > 3 && runs[0].outcome.events != runs[1].outcome.events;
  }
  EXPECT_GT(compared, 40);
}

/// Under constant signals money is the price times instance time and carbon the signal times joules.
TEST(Tariff, ConstantSignalsAreProducts) {
  const StepSignal price(2'000'000'000), carbon(400'000'000);   // 2 USD an hour, 400 g a kWh
  TariffParts tariff;
  tariff.price = {&price};
  tariff.carbon = &carbon;
  Scripted policy;
  const auto run = run_row(std::string(kEngine) + "t=1500ms a prompt=10 out=21\nt=50s b prompt=10 out=1\n", policy,
                           {.tariff = &tariff});
  const Summary& s = run.outcome.summary;
  EXPECT_DOUBLE_EQ(s.usd, 2 * s.duration_s / 3600);
  EXPECT_NEAR(run.outcome.grams, s.joules / 3.6e6 * 400, 1e-12 * run.outcome.grams);
  EXPECT_NEAR(s.joules, 300 * 2.2 + 60 * (s.duration_s - 2.2), 1e-9);
}

/// 10 s at each price and intensity; 20 steps of 100 ms in the first part, none in the second.
TEST(Tariff, SignalsCountWhileTheyHold) {
  const StepSignal price({{Time{}, 3'600'000'000}, {at(10s), 7'200'000'000}});  // 1 and 2 thousandths of a USD a second
  const StepSignal carbon({{Time{}, 3'600'000}, {at(10s), 36'000'000}});         // 1 and 10 ug a joule
  TariffParts tariff;
  tariff.price = {&price};
  tariff.carbon = &carbon;
  Scripted policy;
  const auto run = run_row(std::string(kEngine) + "t=0s a prompt=10 out=20\nt=19900ms b prompt=10 out=1\n", policy,
                           {.tariff = &tariff});
  EXPECT_NEAR(run.outcome.summary.usd, 0.010 + 0.020, 1e-12);
  EXPECT_NEAR(run.outcome.grams, 1e-6 * (300 * 2 + 60 * 8) + 1e-5 * (60 * 9.9 + 300 * 0.1), 1e-12);
}

TEST(Tariff, AnUnpricedStationCostsWhatItDid) {
  const StepSignal carbon(1'000'000);
  TariffParts tariff;
  tariff.carbon = &carbon;
  Scripted policy;
  const auto run =
      run_row(std::string(kEngine) + "t=0s a prompt=10 out=20\n", policy, {.tariff = &tariff, .usd_per_hour = 3.6});
  EXPECT_DOUBLE_EQ(run.outcome.summary.usd, 0.002);
}

}  // namespace
}  // namespace orrery
