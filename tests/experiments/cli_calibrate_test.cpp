/// The command line: calibrate, and hardware models that it makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "calibrate/live/cuda_device.hpp"
#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// Killed with -9 in the middle, run again, and its hardware model used at once.
TEST_F(Cli, CalibrateGoesOnAfterAKillAndItsModelRuns) {
  const std::string hw = path("HW.json"), samples = path("HW.samples.jsonl");
  const auto lines = [&] {
    std::ifstream in(samples);
    return std::count(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>(), '\n');
  };
  const pid_t child = ::fork();
  if (child == 0) {
    orrery({"calibrate", "--quick", "--quiet", "--out", hw});
    ::_exit(0);
  }
  while (lines() < 100 && ::waitpid(child, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_FALSE(fs::exists(hw));
  const auto before = lines();
  ASSERT_GE(before, 100);
  const Answer a = orrery({"calibrate", "--quick", "--out", hw});
  EXPECT_TRUE(a.code == 0 || a.code == 2) << a.err;                  // 2: the machine's speed moved; its file says so
  EXPECT_THAT(a.err, HasSubstr("samples are there already"));
  EXPECT_THAT(a.out, AllOf(HasSubstr("step law, random"), HasSubstr("wrote ")));
  std::set<std::pair<std::int64_t, std::int64_t>> once;
  std::ifstream in(samples);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const Value v = parse_json(line);
    EXPECT_TRUE(once.insert({v.at("point").as_int(), v.at("visit").as_int()}).second) << line;
  }
  const std::string config =
      write("run.json", R"({"model": "llama-tiny", "hardware": "HW.json", "engine": {"kv_blocks": 500},
    "workload": {"arrival": {"process": "poisson", "rate": "10/s"}, "lengths": {"prompt": 60, "output": 20},
        "requests": 50},
    "policy": {"batching": {"name": "sarathi", "token_budget": 128, "max_running": 24}}})");
  const Answer sum = orrery({"run", config, "--json"});
  const Answer steps = orrery({"run", config, "--json", "--set", R"(/hardware={"name": "HW.json", "cost": "steps"})"});
  ASSERT_EQ(sum.code, 0) << sum.err;
  ASSERT_EQ(steps.code, 0) << steps.err;
  for (const Answer* r : {&sum, &steps}) EXPECT_EQ(parse_json(r->out).at("trust").at("grade").as_string(), "measured");
  EXPECT_NEAR(parse_json(sum.out).at("utilisation").at("busy").as_double() /
                  parse_json(steps.out).at("utilisation").at("busy").as_double(),
              1, 0.3);
  EXPECT_THAT(orrery({"run", config, "--set", R"(/hardware={"name": "h200-sxm", "cost": "steps"})"}).err,
              HasSubstr("has no measured steps of model \"llama-tiny\""));
}

/// A mixture of experts is calibrated as itself, and its hardware model prices it, by operators and by whole steps.
TEST_F(Cli, AMixtureOfExpertsIsCalibratedAndRuns) {
  const Answer made =
      orrery({"calibrate", "--quick", "--model", "mixtral-tiny", "--out", path("MoE.json")});
  ASSERT_TRUE(made.code == 0 || made.code == 2) << made.err;         // 2: the machine's speed moved
  EXPECT_THAT(made.out, HasSubstr("\nexperts  "));
  const std::string config =
      write("run.json", R"({"model": "mixtral-tiny", "hardware": "MoE.json", "engine": {"kv_blocks": 500},
    "workload": {"arrival": {"process": "poisson", "rate": "10/s"}, "lengths": {"prompt": 60, "output": 20},
        "requests": 50},
    "policy": {"batching": {"name": "sarathi", "token_budget": 128, "max_running": 24}}})");
  const auto busy = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"run", config, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const Answer a = orrery(all);
    EXPECT_EQ(a.code, 0) << a.err;
    return parse_json(a.out).at("utilisation").at("busy").as_double();
  };
  const double sum = busy({}), steps = busy({"--set", R"(/hardware={"name": "MoE.json", "cost": "steps"})"});
  EXPECT_NEAR(sum / steps, 1, 0.4);
  EXPECT_THAT(orrery({"run", config, "--set", R"(/hardware="h200-sxm")"}).err,
              HasSubstr("/model: model \"mixtral-tiny\": mixture of experts: "
                        "not available in this version on hardware"));
  EXPECT_THAT(orrery({"run", config, "--set", R"(/model="mixtral-8x7b")"}).err, HasSubstr("does not fit on MoE"));
}

/// Whole-model coefficients in place of the operators.
TEST_F(Cli, ACostProfileIsNamedBesideTheHardware) {
  const std::string config =
      write("run.json", R"({"model": "opt-13b", "hardware": {"name": "a100-80g", "cost": "distserve"},
    "cluster": {"tp": 2}, "workload": {"arrival": {"process": "poisson", "rate": "2/s"},
    "lengths": {"prompt": 512, "output": 16}, "requests": 50}})");
  const Answer a = orrery({"run", config, "--json"});
  ASSERT_EQ(a.code, 0) << a.err;
  const Value v = parse_json(a.out);
  EXPECT_EQ(v.at("trust").at("grade").as_string(), "fitted");
  // A prompt alone takes 14.74 + 0.06858 * 512 + 2.45e-6 * 512^2 + 1 ms, and nothing is faster.
  EXPECT_GT(v.at("ttft_s").at("p50").as_double(), 0.0514);
  EXPECT_THAT(
      orrery({"run", config, "--set", "/cluster/tp=8"}).err,
      HasSubstr("/hardware/cost: cost profile \"distserve\" has no opt-13b on a100-80g with tp 8, pp 1; it has"));
}

TEST_F(Cli, CalibrateSaysWhatItCannotDo) {
  if (const std::string missing = cuda_missing(); !missing.empty()) {
    EXPECT_EQ(orrery({"calibrate", "--backend", "cuda", "--out", path("x.json")}).err,
              "orrery: backend cuda: " + missing + "; backend cpu runs here\n");
  }
  EXPECT_EQ(orrery({"calibrate", "--from", "log.csv", "--base", "h100-sxm", "--out", path("x.json")}).err,
            "orrery: --from: not available in this version\n");
  EXPECT_EQ(orrery({"calibrate"}).err, "orrery: --out: give the file to write, HW.json\n");
  EXPECT_EQ(orrery({"calibrate", "--out", "hw"}).err, "orrery: --out: expected a name that ends in .json\n");
}

}  // namespace
}  // namespace orrery
