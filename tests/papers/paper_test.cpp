/// The experiments of the papers: read without error, say what their files state, and their controls leave the bands.
#include "experiments/paper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "policies/register.hpp"
#include "sim/registry.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

using ::testing::ElementsAre;

constexpr const char* kGood = R"({
  "system": ["orca"], "paper": "p", "title": "t", "base": {"a": {"b": 1, "c": 2}}, "configs": {"x": {"a": {"b": 3}}},
  "checks": [{"what": "w", "place": "q", "value": "7", "band": [6, null],
              "metric": "x:/v", "control": "1", "expect": "holds"}]
})";

std::vector<std::string> errors_of(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  ErrorList errors;
  read_paper("test", parse_json(text), errors);
  return errors.lines();
}

TEST(PaperReader, MergesConfigsWithTheBase) {
  ErrorList errors;
  const PaperExperiment e = read_paper("test", parse_json(kGood), errors);
  ASSERT_TRUE(errors.empty());
  EXPECT_EQ(to_json(e.configs.at(0).second, -1), R"({"a": {"b": 3, "c": 2}})");
  EXPECT_TRUE(e.checks.at(0).band.has(6));
  EXPECT_TRUE(e.checks.at(0).band.has(1e30));
  EXPECT_FALSE(e.checks.at(0).band.has(5.99));
}

TEST(PaperReader, ErrorsNameTheirPlace) {
  EXPECT_THAT(errors_of(kGood, "x:/v", "y:/v"),
              ElementsAre("/checks/0/metric: column 1: unknown config \"y\"; known: x"));
  EXPECT_THAT(errors_of(kGood, "[6, null]", "[6, 5]"), ElementsAre("/checks/0/band: low is above high"));
  EXPECT_THAT(errors_of(kGood, "[6, null]", "[null, null]"),
              ElementsAre("/checks/0/band: expected [low, high], null for an open end"));
  EXPECT_THAT(errors_of(kGood, "\"holds\"", "\"differs\""),
              ElementsAre("/checks/0/notes: a check that differs says why and what was tried"));
  EXPECT_THAT(errors_of(kGood, "\"x:/v\"", "\"max_rate(x, /v <= 1)\""),
              ElementsAre("/checks/0/metric: max_rate needs /search with low below high"));
  EXPECT_THAT(errors_of(kGood, "\"x:/v\"", "\"max_count(x, /v <= 1)\""),
              ElementsAre("/checks/0/metric: max_count needs /count with low below high and what it sets"));
  EXPECT_THAT(errors_of(kGood, "\"title\": \"t\"",
                        "\"title\": \"t\", \"count\": {\"low\": 1, \"high\": 2, \"sets\": {\"a\": 1}}"),
              ElementsAre("/count/sets/a: expected a pointer into the config and a factor"));
  EXPECT_THAT(errors_of(kGood, "\"title\": \"t\"", "\"title\": \"t\", \"needs\": [\"f.csv\"]"),
              ElementsAre("/twin: an experiment that needs data names the one that runs without it"));
  EXPECT_EQ(errors_of(kGood, "\"title\"", "\"titel\"").size(), 2u);   // unknown key, missing key
  EXPECT_THAT(errors_of(kGood, "[\"orca\"]", "[\"orka\"]"),
              ElementsAre(::testing::StartsWith("/system: unknown system \"orka\"; did you mean \"orca\"?")));
}

TEST(PaperReader, WhatOnlyAGpuCanAnswerHasNoMetricAndSaysWhatHasRun) {
  const std::string from = R"("metric": "x:/v", "control": "1", "expect": "holds")";
  ErrorList errors;
  std::string text = kGood;
  text.replace(text.find(from), from.size(), R"("expect": "needs-gpu", "notes": "not run")");
  const PaperExperiment e = read_paper("test", parse_json(text), errors);
  ASSERT_TRUE(errors.empty());
  EXPECT_EQ(e.checks.at(0).expect, Verdict::kNeedsGpu);
  const PaperResult r = run_paper(e);  // its config x is no run config, and is not run
  EXPECT_TRUE(r.as_stated());
  EXPECT_THAT(paper_text({r}), ::testing::HasSubstr("band >= 6: needs-gpu"));
  EXPECT_EQ(paper_json({r}).items().at(0).at("checks").items().at(0).find("ours"), nullptr);
  EXPECT_THAT(errors_of(kGood, from, R"("expect": "needs-gpu")"),
              ElementsAre("/checks/0/notes: a check that needs a GPU says what has run and what has not"));
  EXPECT_THAT(errors_of(kGood, "\"holds\"", "\"needs-gpu\", \"notes\": \"n\"").size(), 2u);   // metric and control
}

TEST(PaperRun, AMissingFileMeansNeedsData) {
  ErrorList errors;
  PaperExperiment e = read_paper("test", parse_json(kGood), errors);
  e.needs = {"no-such-file-anywhere.csv"};
  const PaperResult r = run_paper(e);
  EXPECT_EQ(r.missing, "no-such-file-anywhere.csv");
  EXPECT_TRUE(r.as_stated());
  EXPECT_EQ(paper_json({r}).items().at(0).at("checks").items().at(0).at("verdict").as_string(), "needs-data");
}

constexpr const char* kSmall = R"({
  "system": ["sarathi"], "paper": "p", "title": "t", "search": {"low": 0.5, "high": 400, "seconds": 20,
      "tolerance": 0.2},
  "base": {"model": "llama-3.1-8b", "hardware": "h200-sxm", "warmup": "0s", "policy": {"batching": "sarathi"},
           "workload": {"arrival": {"process": "poisson", "rate": "5/s"}, "lengths": {"prompt": 500, "output": 20},
               "requests": 100}},
  "configs": {"x": {}},
  "checks": [{"what": "w", "place": "q", "value": "7", "band": [100, 100], "metric": "METRIC",
      "control": "x[/workload/requests=7]:/requests/completed", "expect": "holds"}]
})";

PaperExperiment small(const std::string& metric) {
  std::string text = kSmall;
  text.replace(text.find("METRIC"), 6, metric);
  ErrorList errors;
  PaperExperiment e = read_paper("small", parse_json(text), errors);
  errors.throw_if_any();
  return e;
}

std::string run_error(const PaperExperiment& e) {
  try {
    run_paper(e);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(PaperRun, RunsConfigsAndTheirVariants) {
  const PaperExperiment e = small("x:/requests/completed");
  const PaperResult r = run_paper(e);
  EXPECT_EQ(r.checks.at(0).ours, 100);
  EXPECT_EQ(r.checks.at(0).control, 7);
  EXPECT_TRUE(r.as_stated());
}

TEST(PaperRun, NormalisedLatencyIsEndToEndTimePerOutputToken) {   // 20 output tokens each
  const PaperExperiment e = small("x:/paper/normalized_latency_s/mean * 20 / x:/e2e_s/mean * 100");
  EXPECT_NEAR(run_paper(e).checks.at(0).ours, 100, 1e-6);
}

TEST(PaperRun, TheSearchEndsBetweenARateThatHoldsAndOneThatDoesNot) {
  const PaperExperiment e = small("max_rate(x, /ttft_s/p99 <= 0.1)");
  const double rate = run_paper(e).checks.at(0).ours;
  EXPECT_GT(rate, 0.5);
  EXPECT_LT(rate, 400 / 1.2);
}

TEST(PaperReader, ASlowdownNeedsAReferenceAndNineLimits) {
  const std::string title = "\"title\": \"t\"";
  const auto with = [&](const std::string& slowdown) {
    return errors_of(kGood, title, title + ", \"slowdown\": " + slowdown);
  };
  EXPECT_TRUE(with(R"({"alone": "x", "ttft": [2, 3, 6], "tpot": [1.25, 1.5, 5], "e2e": [1.25, 1.5, 5]})").empty());
  EXPECT_THAT(with(R"({"alone": "y", "ttft": [2, 3], "tpot": [0, 1.5, 5], "e2e": [1.25, 1.5, 5]})"),
              ElementsAre("/slowdown/alone: unknown config \"y\"; known: x",
                          "/slowdown/ttft: expected [p50, p90, p99], each above 0",
                          "/slowdown/tpot: expected [p50, p90, p99], each above 0"));
}

/// 500 prompt and 20 output tokens each: under a light load every request takes as long as alone, half of
/// its limits.
TEST(PaperRun, SlowdownsCompareEachRequestWithItselfAlone) {
  std::string text = kSmall;
  text.replace(text.find("METRIC"), 6, "x[/workload/arrival/rate=0.01]:/paper/slowdown/worst");
  const std::string title = "\"title\": \"t\"";
  text.replace(text.find(title), title.size(),
               title + R"(, "slowdown": {"alone": "x", "ttft": [2, 2, 2], "tpot": [2, 2, 2], "e2e": [2, 2, 2]},
                          "columns": [{"what": "busy",
                                       "metric": "x[/workload/arrival/rate=30]:/paper/slowdown/worst"}])");
  ErrorList errors;
  const PaperExperiment e = read_paper("small", parse_json(text), errors);
  errors.throw_if_any();
  const PaperResult r = run_paper(e);
  EXPECT_DOUBLE_EQ(r.checks.at(0).ours, 0.5);
  EXPECT_GT(r.columns.at(0), 0.52);
  EXPECT_THAT(paper_text({r}), ::testing::HasSubstr("  busy: "));
}

TEST(PaperRun, ErrorsNameTheConfig) {
  EXPECT_EQ(run_error(small("x:/ttft_s/p42")), "x:/ttft_s/p42: the summary has no such value");
  EXPECT_EQ(run_error(small("x:/state")), "x:/state: expected a number, got \"STABLE\"");
  EXPECT_EQ(run_error(small("max_rate(x, /ttft_s/p99 <= 0)")), "/search/low: x misses its limits at this rate already");
  EXPECT_EQ(run_error(small("max_rate(x, /ttft_s/p99 <= 1000000)")), "/search/high: x still holds at this rate");
  EXPECT_THAT(run_error(small("x[/model=lama]:/ttft_s/p50")), ::testing::StartsWith("small, config x /model=lama:\n"));
}

TEST(PaperRun, AVerdictOtherThanStatedAndAControlInTheBandAreTold) {
  ErrorList errors;
  PaperExperiment e = read_paper("test", parse_json(kGood), errors);
  PaperResult r{&e, {{7, 1, Verdict::kHolds, true}}, "", 0};
  EXPECT_TRUE(r.as_stated());
  r.checks[0] = {5, 1, Verdict::kDiffers, true};
  EXPECT_FALSE(r.as_stated());
  EXPECT_THAT(paper_text({r}), ::testing::HasSubstr("differs (stated: holds)"));
  r.checks[0] = {7, 8, Verdict::kHolds, false};
  EXPECT_FALSE(r.as_stated());
  EXPECT_THAT(paper_text({r}), ::testing::HasSubstr("control inside the band"));
}

class Shipped : public ::testing::TestWithParam<std::string> {};

TEST_P(Shipped, SaysWhatItStates) {
  const auto all = shipped_papers();
  for (const PaperExperiment& e : all) {
    if (e.name != GetParam()) continue;
    if (e.heavy) GTEST_SKIP() << "heavy: orrery paper " << e.name;
    const PaperResult r = run_paper(e);
    if (!r.missing.empty()) GTEST_SKIP() << "needs " << r.missing << " in ORRERY_DATA; its twin is " << e.twin;
    EXPECT_TRUE(r.as_stated()) << paper_text({r});
  }
}

std::vector<std::string> shipped_names() {
  std::vector<std::string> names;
  for (const EmbeddedPaper& p : embedded_papers()) names.emplace_back(p.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Papers, Shipped, ::testing::ValuesIn(shipped_names()), [](const auto& with) {
  std::string name = with.param;
  std::replace(name.begin(), name.end(), '-', '_');
  std::replace(name.begin(), name.end(), '+', 'p');
  return name;
});

TEST(Papers, EverySystemHasAnExperimentThatNeedsNoData) {
  const Registry& registry = shipped_policies();
  std::set<std::string> covered;
  for (const PaperExperiment& e : shipped_papers()) {
    if (e.needs.empty()) covered.insert(e.systems.begin(), e.systems.end());
  }
  for (const auto& p : std::as_const(registry).entries<Batcher>()) EXPECT_TRUE(covered.count(p.name)) << p.name;
  for (const EngineSystem& s : kEngineSystems) EXPECT_TRUE(covered.count(std::string(s.name))) << s.name;
}

TEST(Papers, TwinsNameEachOther) {
  const auto all = shipped_papers();
  for (const PaperExperiment& e : all) {
    for (const PaperExperiment& other : all) {
      if (e.twin != other.name) continue;
      EXPECT_EQ(other.twin_of, e.name);
      EXPECT_TRUE(other.needs.empty());
    }
    if (!e.twin.empty()) {
      EXPECT_THAT(shipped_names(), ::testing::Contains(e.twin));
    }
  }
}

/// docs/SYSTEMS.md is generated; this tells when that was forgotten.
TEST(Papers, TheSystemsPageListsEveryPolicyAndExperiment) {
  std::ifstream file(source_dir("/docs/SYSTEMS.md"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  const Registry& registry = shipped_policies();
  const auto listed = [&](const auto& entries) {
    for (const auto& p : entries)
      EXPECT_NE(page.find("| `" + p.name + "` | " + p.system + " |"), std::string::npos) << p.name;
  };
  const Registry& r = registry;
  listed(r.entries<Batcher>());
  listed(r.entries<QueueOrder>());
  listed(r.entries<LengthPredictor>());
  listed(r.entries<KvPolicy>());
  listed(r.entries<Router>());
  listed(r.entries<AdmissionPolicy>());
  listed(r.entries<ClusterPolicy>());
  listed(r.entries<PowerPolicy>());
  for (const PaperExperiment& e : shipped_papers()) {
    if (e.heavy) continue;   // `all` leaves it out
    for (const PaperCheck& c : e.checks) {
      EXPECT_NE(page.find("[" + e.name + "](../experiments/papers/" + e.name + ".json) | " + c.what + " | "),
                std::string::npos)
          << e.name << ": " << c.what << "; write it anew: orrery paper all --markdown > docs/SYSTEMS.md";
    }
  }
  for (std::size_t at = page.find("](../"); at != std::string::npos; at = page.find("](../", at + 1)) {
    const std::string target = page.substr(at + 5, page.find(')', at) - at - 5);
    EXPECT_TRUE(std::filesystem::exists(source_dir("/") + target)) << target;
  }
}

}  // namespace
}  // namespace orrery
