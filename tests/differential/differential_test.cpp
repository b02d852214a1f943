/// The fast engine equals the plain twin: whole rows, every decision, exact sums of tokens, time, energy, gaps between
/// tokens and KV over time; fast-forward on and off.
///
/// ORRERY_FUZZ_COUNT sets the number of configs (default 24000 over all shards, about half a minute of one core),
/// ORRERY_FUZZ_SEED another seed, and ORRERY_FUZZ_ONE=SEED:INDEX runs a single one, minimises it if it fails and
/// prints it as a scenario.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/differential/fuzz.hpp"
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
  for (const Scenario& s : read_scenarios(ORRERY_SOURCE_DIR "/tests/differential/found.txt"))
    EXPECT_EQ(disagreement(s), "") << s.title;
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
