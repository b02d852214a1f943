/// `validate` on a device whose clock follows a known law: what it must find is known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "calibrate/live/cuda_device.hpp"
#include "experiments/cli/cli.hpp"
#include "experiments/validate_attempt.hpp"
#include "hwmodels/catalogue.hpp"
#include "hwmodels/validation.hpp"
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
      t +=
          sequence + token * q + (w.tokens.size() == 1 ? decode_context * (context + 1) : pair * q * (context + q / 2));
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

Attempt attempt_in(const World& world, const std::vector<std::string>& sets = {}, const Gate* gate = &gate_of("cpu"),
                   const std::function<Summary(const Summary&)>& hardware = {}) {
  ValidateSetup setup;
  setup.gate = gate;
  setup.assemble = [&](double rate) {
    std::vector<std::string> all = sets;
    if (rate > 0) all.push_back("/workload/arrival/rate=" + std::to_string(rate));
    Assembly a = assemble(load_document(source_dir("/experiments/examples/validate-cpu.json"), all), {}, "cpu");
    a.deployment.device = std::make_shared<WorldDevice>(world);
    return a;
  };
  setup.options = setup.assemble(0).config.validate;
  if (hardware) {   // a model that predicts what `hardware` makes of a run of the world itself
    setup.predict = [&](double rate) {
      const Assembly a = setup.assemble(rate);
      return hardware(replicate(a, a.config.seed(), {}).outcome.summary);
    };
  }
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

/// Runs that differ by 30 % among themselves cannot show that 25 % are wrong; by 10 %, they can.
TEST(Validate, AMissWithinTheSpreadOfTheRunsIsUndecided) {
  const GateMetric gate{"x", "s", 10, nullptr};
  const auto of = [&](double low, double high, double predicted) {
    return ComparedMetric{.metric = &gate, .measured = {low, 1.0, high}, .predicted = predicted};
  };
  EXPECT_TRUE(of(0.85, 1.15, 1.25).undecided());
  EXPECT_FALSE(of(0.95, 1.05, 1.25).undecided());
  EXPECT_FALSE(of(0.85, 1.15, 1.05).undecided());   // holds
}

/// The same miss by both gates: throughput 5 % beyond its gate, from runs that differ by twice that. A GPU has no
/// neighbours to blame.
TEST(Validate, TheSpreadOfTheRunsExcusesAMissOnACpuAlone) {
  const auto verdict_by = [](const Gate& gate, double spread) {
    const GateMetric& throughput = gate.metrics.front();
    const double miss = 0.01 * (throughput.gate + 5);
    Attempt a;
    a.runs = a.parity = 3;
    a.metrics.push_back({.metric = &throughput, .measured = {1 - spread, 1, 1 + spread}, .predicted = 1 + miss});
    return verdict_of(a, gate);
  };
  EXPECT_EQ(verdict_by(gate_of("cpu"), 0.15), Attempt::Verdict::kNoisy);
  EXPECT_EQ(verdict_by(gate_of("cuda"), 0.15), Attempt::Verdict::kFail);
  EXPECT_EQ(verdict_by(gate_of("cpu"), 0.01), Attempt::Verdict::kFail);
  EXPECT_EQ(verdict_by(gate_of("cuda"), 0.01), Attempt::Verdict::kFail);
}

/// What the config's hardware model misses is judged likewise.
TEST(Validate, AHardwareModelsMissIsExcusedOnACpuAlone) {
  const GateMetric throughput{"throughput", "req/s", 3, nullptr};
  Attempt a;
  a.runs = a.parity = 3;
  a.metrics.push_back({.metric = &throughput, .measured = {0.9, 1, 1.1}, .predicted = 1});
  a.of_hardware.push_back({.metric = &throughput, .measured = {0.9, 1, 1.1}, .predicted = 1.1});
  EXPECT_EQ(verdict_of(a, gate_of("cpu")), Attempt::Verdict::kNoisy);
  EXPECT_EQ(verdict_of(a, gate_of("cuda")), Attempt::Verdict::kFail);
}

TEST(Validate, AGpusGateIsNarrowerAndLooksAtStepTimes) {
  const auto widths = [](const Gate& gate) {
    std::map<std::string, double> out;
    for (const GateMetric& m : gate.metrics)
      if (m.gate > 0) out[m.name] = m.gate;
    return out;
  };
  using Widths = std::map<std::string, double>;
  EXPECT_EQ(widths(gate_of("cpu")), (Widths{{"throughput", 10}, {"busy time", 10}, {"E2E mean", 10}, {"TTFT p50", 15},
                                             {"TTFT p99", 20}, {"E2E p99", 20}}));
  EXPECT_EQ(widths(gate_of("cuda")),
            (Widths{{"throughput", 3}, {"E2E p50", 5}, {"TPOT p50", 5}, {"TTFT p99", 10}, {"E2E p99", 10}}));
  EXPECT_EQ(gate_of("cuda").step_mean, 5);
  EXPECT_EQ(gate_of("cuda").step_p95, 10);
  EXPECT_EQ(gate_of("cuda").drift, 3);
  EXPECT_EQ(gate_of("cpu").step_mean, 0);
  EXPECT_TRUE(gate_of("cpu").spread_excuses);
  EXPECT_FALSE(gate_of("cuda").spread_excuses);
}

/// Steps that scatter by more than the gate, about the right mean: everything else holds.
TEST(Validate, StepTimesBeyondTheGateFail) {
  World world;
  world.noise = 0.3;
  static const Gate strict{.metrics = {}, .step_mean = 0.5, .step_p95 = 10, .drift = 50},
      loose{.metrics = {}, .step_mean = 0, .step_p95 = 0, .drift = 50};
  EXPECT_EQ(attempt_in(world, {"/validate/batches=60", "/validate/runs=1"}, &strict).verdict, Attempt::Verdict::kFail);
  EXPECT_EQ(attempt_in(world, {"/validate/batches=60", "/validate/runs=1"}, &loose).verdict, Attempt::Verdict::kPass);
}

/// The hardware model of the config is compared on its own, and fails on its own.
TEST(Validate, AHardwareModelThatIsOffFailsWhereTheLawHolds) {
  const World world;
  const auto verdict_with = [&](double factor) {
    return attempt_in(world, {}, &gate_of("cpu"), [&](const Summary& of_law) {
      Summary s = of_law;
      s.latencies.e2e.mean *= factor;
      return s;
    });
  };
  const Attempt good = verdict_with(1.02), bad = verdict_with(1.3);
  EXPECT_EQ(good.verdict, Attempt::Verdict::kPass);
  EXPECT_EQ(good.of_hardware.size(), good.metrics.size());
  EXPECT_EQ(bad.verdict, Attempt::Verdict::kFail);
  EXPECT_TRUE(std::all_of(bad.metrics.begin(), bad.metrics.end(), [](const auto& m) { return m.holds(); }));
}

/// What ships for the H100 and the H200 is read whole, as far as a machine without one can.
TEST(ValidateVerb, TheExamplesForGpusLoad) {
  for (const std::string gpu : {"h100", "h200"}) {
    const std::string config = source_dir(("/experiments/examples/validate-" + gpu + ".json").c_str());
    ErrorList errors;
    const RunConfig c = read_run_config(load_document(config, {}), errors);
    EXPECT_EQ(errors.lines(), std::vector<std::string>{});
    EXPECT_EQ(c.validate.loads, (std::vector<double>{0.5, 0.65, 0.8}));
    EXPECT_EQ(c.validate.batching, "sarathi, vllm-v1, vllm");
    for (const char* batching : {"sarathi", "vllm-v1", "vllm"}) {
      const Assembly a = assemble(load_document(config, {std::string("/policy/batching=") + batching,
                                                         "/hardware=\"" + gpu + "-sxm\""}), {}, "model");
      EXPECT_EQ(a.deployment.facts.blocks, 12288);
      EXPECT_EQ(a.deployment.facts.model, "llama-3.1-8b");
    }
  }
  EXPECT_EQ(live_model("llama-3.1-8b", {}).shape.head_dim, 128);
}

TEST(ValidateVerb, ARecordNeedsAFileOfTheUsersOwn) {
  const auto error = [](std::vector<std::string> more) {
    std::ostringstream out, err;
    std::vector<std::string> all{"validate", source_dir("/experiments/examples/validate-cpu.json"), "--record"};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(run_cli(all, out, err), 1);
    return err.str();
  };
  EXPECT_EQ(error({}), "orrery: --record: the config names no hardware model (/hardware)\n");
  EXPECT_EQ(error({"--set", R"(/hardware="h200-sxm")"}),
            "orrery: --record: /hardware \"h200-sxm\" is built in; a record goes into a file of your own\n");
}

/// What a record says is in the summary of every run that it speaks of, and of no other.
TEST(ValidateVerb, RunsSayWhatTheRecordOfTheirHardwareModelSays) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("orrery-record-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string path = (folder / "mine.json").string();
  Value file = find_entry(Catalogue::kGpus, "h200-sxm", {}).value;
  file["name"] = "mine";
  const auto trust = [&](const std::vector<std::string>& more) {
    std::ofstream(path) << to_json(file, 1);
    std::vector<std::string> all{"run", source_dir("/experiments/examples/validate-h200.json"), "--json", "--set",
                                 "/hardware=\"" + path + "\"", "--set", "/workload/requests=20"};
    for (const std::string& set : more) all.insert(all.end(), {"--set", set});
    std::ostringstream out, err;
    EXPECT_EQ(run_cli(all, out, err), 0) << err.str();
    return parse_json(out.str()).at("trust");
  };
  EXPECT_FALSE(trust({}).at("validated").as_bool());
  EXPECT_EQ(trust({}).at("real_engine_check").as_string(), "never compared with a real engine");
  add_record(file, {.date = "2026-11-24",
                    .machine = "a test",
                    .backend = "cuda",
                    .model = "llama-3.1-8b",
                    .cost = "operators",
                    .subject = subject_of(file),
                    .cells = {{"sarathi", 0.6, {{"throughput", 0.5}}}}});
  EXPECT_TRUE(trust({}).at("validated").as_bool());
  EXPECT_EQ(trust({}).at("real_engine_check").as_string(),
            "passed 2026-11-24 on a test, executor cuda: sarathi at load 0.6; throughput within 0.5 %");
  for (const char* set : {"/model=\"llama-2-7b\"", "/engine/preset=\"vllm-0.24\"", "/cluster/tp=2"})
    EXPECT_FALSE(trust({set}).at("validated").as_bool()) << set;
  EXPECT_EQ(trust({"/model=\"llama-2-7b\""}).at("real_engine_check").as_string(),
            "compared with a real engine for other models or costs only");
  file["specs"]["bf16_tflops"] = 1000;
  EXPECT_FALSE(trust({}).at("validated").as_bool());
  EXPECT_EQ(trust({}).at("real_engine_check").as_string(),
            "the hardware model has changed since it was compared with a real engine");
  fs::remove_all(folder);
}

}  // namespace
}  // namespace orrery
