/// The fast engine equals the plain twin: whole rows, every decision, exact sums of tokens, time, energy, gaps between
/// tokens and KV over time; fast-forward on and off.
///
/// ORRERY_FUZZ_COUNT sets the number of configs (default 24000 over all shards, about half a minute of one core),
/// ORRERY_FUZZ_SEED another seed, and ORRERY_FUZZ_ONE=SEED:INDEX runs a single one, minimises it if it fails and
/// prints it as a scenario.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "policies/register.hpp"
#include "tests/differential/fuzz.hpp"
#include "tests/source_dir.hpp"
#include "tests/twin/engine_run.hpp"

namespace orrery {
namespace {

constexpr int kShards = 16;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string report(const Scenario& s, std::uint64_t seed, std::uint64_t index) {
  const Scenario small = minimised(s);
  return "repeat with: ORRERY_FUZZ_ONE=" + std::to_string(seed) + ":" + std::to_string(index) +
         " differential_test --gtest_filter=Differential.One\n" + to_text(small) + disagreement(small);
}

class DifferentialShard : public testing::TestWithParam<int> {};

TEST_P(DifferentialShard, EngineEqualsTwin) {
  const std::uint64_t seed = setting("ORRERY_FUZZ_SEED", 1), count = setting("ORRERY_FUZZ_COUNT", 24000);
  int shown = 0;
  for (std::uint64_t i = static_cast<std::uint64_t>(GetParam()); i < count && shown < 3; i += kShards) {
    const Scenario s = random_scenario(seed, i);
    if (disagreement(s).empty()) continue;
    ADD_FAILURE() << report(s, seed, i);
    ++shown;
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, DifferentialShard, testing::Range(0, kShards));

TEST(Differential, WhatWasFoundStaysFound) {
  for (const Scenario& s : read_scenarios(source_dir("/tests/differential/found.txt")))
    EXPECT_EQ(disagreement(s), "") << s.title;
}

TEST(Differential, LongRunsAgree) {
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Scenario s = random_scenario(3, i, 400);
    EXPECT_EQ(disagreement(s), "") << "seed 3, index " << i << ", 400 requests more";
  }
}

/// Agreement means something only where something happens: how many of 3,200 scenarios have each mechanism at work.
TEST(Differential, TheFuzzReachesEveryMechanism) {
  std::map<std::string, int> seen;
  for (std::uint64_t i = 0; i < 3200; ++i) {
    const Scenario s = random_scenario(1, i);
    const EngineResult r = run_engine(s, {});
    const TwinSums& sums = r.as_twin.sums;
    std::set<std::string> here{"batching " + s.policies.at("batching"), "order " + s.policies.at("order"),
                               "predictor " + s.policies.at("predictor")};
    if (s.stations > 1) here.insert("router " + s.policies.at("router"));
    if (s.policies.count("admission")) here.insert("admission " + s.policies.at("admission"));
    if (r.outcome.summary.steps < sums.iterations) here.insert("fast-forward");
    if (sums.swaps > 0) here.insert("swap");
    if (sums.host_in > 0) here.insert("prefix from host memory");
    if (r.outcome.summary.kv.host.dropped_tokens > 0) here.insert("prefix dropped from host memory");
    if (sums.recomputed > 0) here.insert("recompute");
    if (sums.padded > 0) here.insert("padding");
    if (s.cost.stages > 1) here.insert("pipeline of " + std::to_string(s.cost.stages));
    if (s.stations > 1) here.insert("stations " + std::to_string(s.stations));
    for (const TwinRow& row : r.as_twin.rows) {
      if (row.cached > 0) here.insert("prefix hit");
      if (row.status == TwinStatus::kRejected) here.insert("rejected");
      if (row.status == TwinStatus::kFailed) here.insert("failed");
      if (row.status == TwinStatus::kCancelled) here.insert("cancelled");
      if (row.status == TwinStatus::kTimedOut) here.insert("timed out");
      if (row.qoe > 0 && row.qoe < 1) here.insert("qoe between 0 and 1");
      if (row.retries > 0) here.insert(row.status == TwinStatus::kDone ? "done at a later attempt" : "retried in vain");
    }
    for (const TwinDecision& d : r.as_twin.decisions) {
      if (d.kind == TwinDecision::kRestart) here.insert("restart");
      if (d.kind == TwinDecision::kResume) here.insert("resume");
      if (d.kind == TwinDecision::kPause) here.insert("pause");
    }
    for (const std::string& what : here) ++seen[what];
  }
  for (const char* what : {"fast-forward",    "swap",
                           "recompute",       "padding",
                           "pipeline of 2",   "pipeline of 3",
                           "pipeline of 4",   "stations 2",
                           "stations 5",      "prefix hit",
                           "rejected",        "failed",
                           "cancelled",       "restart",
                           "resume",          "pause",
                           "timed out",       "done at a later attempt",
                           "retried in vain", "qoe between 0 and 1",
                           "prefix from host memory", "prefix dropped from host memory"})
    EXPECT_GE(seen[what], 20) << what;
  const Registry& registry = shipped_policies();
  for (const auto& entry : registry.entries<Batcher>()) EXPECT_GE(seen["batching " + entry.name], 100) << entry.name;
  for (const auto& entry : registry.entries<QueueOrder>()) EXPECT_GE(seen["order " + entry.name], 100) << entry.name;
  for (const auto& entry : registry.entries<Router>()) EXPECT_GE(seen["router " + entry.name], 50) << entry.name;
  for (const auto& entry : registry.entries<AdmissionPolicy>())
    EXPECT_GE(seen["admission " + entry.name], 100) << entry.name;
  for (const auto& entry : registry.entries<LengthPredictor>())
    EXPECT_GE(seen["predictor " + entry.name], 100) << entry.name;
  for (const auto& [what, count] : seen) RecordProperty(what, count);
}

TEST(Differential, One) {
  const char* text = std::getenv("ORRERY_FUZZ_ONE");
  if (!text) GTEST_SKIP() << "set ORRERY_FUZZ_ONE=SEED:INDEX";
  char* rest = nullptr;
  const std::uint64_t seed = std::strtoull(text, &rest, 10), index = *rest ? std::strtoull(rest + 1, nullptr, 10) : 0;
  const Scenario s = random_scenario(seed, index);
  if (!disagreement(s).empty()) ADD_FAILURE() << report(s, seed, index);
}

TEST(Differential, AScenarioIsItsText) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Scenario s = random_scenario(7, i);
    EXPECT_EQ(to_text(parse_scenarios(to_text(s), "again").at(0)), to_text(s));
  }
}

}  // namespace
}  // namespace orrery
