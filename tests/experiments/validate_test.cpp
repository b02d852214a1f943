/// `validate` on a device whose clock follows a known law: what it must find is known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "calibrate/live/cuda_device.hpp"
#include "experiments/cli/cli.hpp"
#include "experiments/validate_attempt.hpp"
#include "sim/base/rng.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

/// Seconds of a step in this world, and how the world changes.
struct World {
  double step = 300e-6, token = 100e-6, decode_context = 0.25e-6, pair = 0.15e-6, sequence = 10e-6;
  double noise = 0.02;               ///< each step is up to so much longer or shorter
  double runs_slower = 1;            ///< factor of what is not calibration
  double drift = 0;                  ///< growth over the first 100 s of work
  mutable double now = 0;
  mutable std::uint64_t steps = 0;

  void run(std::span<const Work> work, double factor) const {
    double t = step;
    std::int64_t tokens = 0;
    for (const Work& w : work) {
      const auto q = static_cast<double>(w.tokens.size()), context = static_cast<double>(w.context);
      tokens += static_cast<std::int64_t>(w.tokens.size());
      t += sequence + token * q + (w.tokens.size() == 1 ? decode_context * (context + 1) : pair * q * (context + q / 2));
    }
    Rng rng(1, Purpose::kFuzz, steps++);
    now += factor * t * (1 + noise * (2 * rng.uniform() - 1)) * (1 + drift * std::min(1.0, now / 100));
  }
};

class WorldReplica final : public LiveReplica {
 public:
  WorldReplica(const World& world, double factor) : world_(&world), factor_(factor) {}
  double seconds() override { return world_->now; }
  void copy(std::span<const SwapCopy>, std::int32_t) override {}
  std::span<const std::int32_t> run(std::span<const Work> work) override {
    world_->run(work, factor_);
    next_.assign(work.size(), 0);
    return next_;
  }

 private:
  const World* world_;
  double factor_;
  std::vector<std::int32_t> next_;
};

class WorldDevice final : public LiveDevice {
 public:
  explicit WorldDevice(const World& world) : world_(&world) {}
  std::unique_ptr<LiveReplica> replica(const Kv&) const override {   // the first is for calibration
    return std::make_unique<WorldReplica>(*world_, made_++ == 0 ? 1 : world_->runs_slower);
  }
  std::string name() const override { return "world"; }
  std::string clock() const override { return "its own"; }
  std::int32_t vocabulary() const override { return 1000; }

 private:
  const World* world_;
  mutable int made_ = 0;
};

Attempt attempt_in(const World& world, const std::vector<std::string>& sets = {}) {
  ValidateSetup setup;
  setup.assemble = [&](double rate) {
    std::vector<std::string> all = sets;
    if (rate > 0) all.push_back("/workload/arrival/rate=" + std::to_string(rate));
    Assembly a = assemble(load_document(source_dir("/experiments/examples/validate-cpu.json"), all), {}, "cpu");
    a.deployment.device = std::make_shared<WorldDevice>(world);
    return a;
  };
  setup.options = setup.assemble(0).config.validate;
  return attempt(setup, [](const std::string&) {});
}

TEST(Validate, PassesWhereTheLawHoldsAndNoticesEveryBrokenModel) {
  const World world;
  const Attempt a = attempt_in(world);
  EXPECT_EQ(a.verdict, Attempt::Verdict::kPass);
  EXPECT_NEAR(a.load, 0.65, 0.05);
  EXPECT_EQ(a.runs, 3);
  EXPECT_EQ(a.parity, 3);
  EXPECT_THAT(a.differences, testing::IsEmpty());
  for (const ComparedMetric& m : a.metrics) EXPECT_LT(std::abs(m.error()), 5) << m.metric->name;
  EXPECT_LT(a.calibration.held_out.mape, 2);
  EXPECT_LT(a.run_steps.mape, 3);
  EXPECT_GT(a.steps, 1000);
  ASSERT_EQ(a.broken.size(), 3u);
  for (const BrokenLaw& b : a.broken) EXPECT_TRUE(b.caught()) << b.what;
}

TEST(Validate, AMachineThatSlowsDownIsNoisyNotWrong) {
  World world;
  world.drift = 0.5;
  const Attempt a = attempt_in(world);
  EXPECT_GT(a.calibration.drift, 10);
  EXPECT_EQ(a.verdict, Attempt::Verdict::kNoisy);
  EXPECT_EQ(a.parity, a.runs);   // decisions are compared exactly, noise or not
}

TEST(Validate, FailsWhereTheEngineIsNotAsCalibrated) {
  World world;
  world.runs_slower = 1.15;
  const Attempt a = attempt_in(world);
  EXPECT_EQ(a.verdict, Attempt::Verdict::kFail);
  EXPECT_NEAR(a.run_steps.bias, 100 * (1 / 1.15 - 1), 2);
}

TEST(Validate, TwoFailuresOrThreeNoisyAttemptsSettleIt) {
  const auto one = [](Attempt::Verdict v, int parity = 3) {
    Attempt a;
    a.verdict = v;
    a.runs = 3;
    a.parity = parity;
    return a;
  };
  const Attempt pass = one(Attempt::Verdict::kPass), fail = one(Attempt::Verdict::kFail),
                noisy = one(Attempt::Verdict::kNoisy);
  EXPECT_EQ(settled({}), "");
  EXPECT_EQ(settled({pass}), "PASSED");
  EXPECT_EQ(settled({fail}), "");
  EXPECT_EQ(settled({fail, noisy, pass}), "PASSED");
  EXPECT_EQ(settled({fail, noisy, noisy, fail}), "FAILED");
  EXPECT_EQ(settled({noisy, noisy}), "");
  EXPECT_EQ(settled({noisy, fail, noisy, noisy}), "SKIPPED");
  EXPECT_EQ(settled({one(Attempt::Verdict::kNoisy, 2)}), "FAILED");   // decisions have no tolerance
}

/// A workload whose contexts are short cannot tell attention from anything else; that is said, not hidden.
TEST(Validate, SaysWhichErrorsTheGateCannotSee) {
  World world;
  world.decode_context = world.pair = 1e-9;
  const Attempt a = attempt_in(world);
  EXPECT_FALSE(a.broken.at(0).caught());
  EXPECT_TRUE(a.broken.at(2).caught());
}

TEST(Validate, OtherPoliciesAndSeveralReplicas) {
  for (const char* batching : {"vllm", "vllm-v1", "fastgen"}) {
    const World world;
    const Attempt a = attempt_in(world, {std::string("/policy/batching=") + batching, "/cluster/replicas=2",
                                         "/engine/prefix_cache=hash", "/validate/runs=1", "/validate/batches=80"});
    EXPECT_EQ(a.parity, 1) << batching;
    EXPECT_LT(std::abs(a.metrics.at(1).error()), 10) << batching;
  }
}

TEST(ValidateVerb, RefusesWhatItCannotDo) {
  const std::string config = source_dir("/experiments/examples/validate-cpu.json");
  const auto error = [&](std::vector<std::string> more) {
    std::ostringstream out, err;
    std::vector<std::string> all{"validate", config};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(run_cli(all, out, err), 1);
    return err.str();
  };
  if (const std::string missing = cuda_missing(); !missing.empty()) {
    EXPECT_EQ(error({"--backend", "cuda"}), "orrery: executor cuda: " + missing + "; executor cpu runs here\n");
  }
  EXPECT_EQ(error({"--set", "/validate/load=2", "--set", "/validate/runs=0"}),
            "orrery: /validate/load: expected a number in [0, 0.95], got 2\n"
            "orrery: /validate/runs: expected an integer in [1, 99], got 0\n");
  EXPECT_EQ(error({"--set", R"(/workload/arrival={"process": "closed", "users": 4})"}),
            "orrery: /validate/load: needs arrivals with a rate; 0 leaves the workload as it is\n");
}

TEST(Validate, AMetricIsTheMedianOfTheRuns) {
  const GateMetric gate{"x", "s", 10, nullptr};
  ComparedMetric m{.metric = &gate, .measured = {1.0, 1.2, 0.9}, .predicted = 1.1};
  EXPECT_DOUBLE_EQ(m.median(), 1.0);
  EXPECT_NEAR(m.spread(), 30, 1e-9);
  EXPECT_NEAR(m.error(), 10, 1e-9);
  m.predicted = 1.11;
  EXPECT_FALSE(m.holds());
  m.predicted = 0.89;
  EXPECT_FALSE(m.holds());
  m.measured = {1.0, 2.0};
  EXPECT_DOUBLE_EQ(m.median(), 1.5);
}

}  // namespace
}  // namespace orrery
