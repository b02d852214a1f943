/// The command line: replications, bootstraps and model error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/summary.hpp"
#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

TEST_F(Cli, SeedsGiveIntervalsWhereSomethingIsRandom) {
  const Value s = parse_json(orrery(quick({"--json", "--seeds", "4"})).out);
  EXPECT_EQ(s.at("seeds").items().size(), 4u);
  EXPECT_TRUE(interval_of(s, "ttft_s.p99"));
  EXPECT_EQ(s.at("requests").at("offered").as_int(), 1200);
  EXPECT_EQ(to_json(s.at("intervals").at("random"), -1), "[\"workload\"]");
}

TEST_F(Cli, PoliciesSayWhetherTheyAreRandom) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n0,200,20\n0,50,5\n1,70,9\n");
  const std::string config =
      write("t.json", R"({"model": "llama-3.1-8b", "cluster": {"replicas": 2}, "workload": {"trace": "trace.csv"}})");
  auto random = [&](const std::string& set) {
    const Answer a = orrery({"run", config, "--json", "--seeds", "2", "--set", set});
    return to_json(parse_json(a.out).at("intervals").at("random"), -1);
  };
  EXPECT_EQ(random("/policy/router=random"), "[\"router random\"]");
  EXPECT_EQ(random("/policy/router=power-of-two"), "[\"router power-of-two\"]");
  EXPECT_EQ(random("/policy/router=session-sticky"), "[]");
  EXPECT_EQ(random("/policy/predictor=gaussian"), "[\"predictor gaussian\"]");
  EXPECT_EQ(random("/policy/predictor=oracle"), "[]");
}

TEST_F(Cli, ATraceUnderDeterministicPoliciesHasNoInterval) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,200,20\n2,50,5\n");
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
  const Value s = parse_json(orrery({"run", config, "--json", "--seeds", "5"}).out);
  EXPECT_EQ(s.at("seeds").items().size(), 1u);
  EXPECT_EQ(find_path(s, "intervals.values"), nullptr);
  EXPECT_EQ(find_path(s, "intervals.none")->as_string(),
            "none: nothing in this run is random (a trace under deterministic policies); /replication/resample "
            "bootstraps it");
}

TEST_F(Cli, ATraceCanBeBootstrappedAndKeepsItsOwnResult) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < 400; ++i)
    text += std::to_string(0.25 * i) + "," + std::to_string(50 + i * 37 % 900) + "," + std::to_string(1 + i * 13 % 90) +
            "\n";
  write("trace.csv", text);
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
  const Value plain = parse_json(orrery({"run", config, "--json"}).out);
  const Value s =
      parse_json(orrery({"run", config, "--json", "--seeds", "6", "--set", "/replication/resample=true"}).out);
  EXPECT_EQ(to_json(s.at("ttft_s")), to_json(plain.at("ttft_s")));
  const auto i = interval_of(s, "ttft_s.mean");
  ASSERT_TRUE(i);
  EXPECT_LT(i->low, s.at("ttft_s").at("mean").as_double());
  EXPECT_EQ(s.at("intervals").at("method").as_string(), "block bootstrap of the trace, 6 resamples");
  EXPECT_EQ(error_of("/replication/resample=true"),
            "orrery: /replication/resample: needs a trace; this workload is drawn anew by every seed\n");
}

TEST_F(Cli, ModelErrorWidensIntervalsAndShowsItsShare) {
  const Value s = parse_json(orrery(quick({"--json", "--seeds", "4", "--set", "/replication/model_error=true"})).out);
  const Value* shares = find_path(s, "intervals.variance_shares");
  ASSERT_NE(shares, nullptr);
  const double model = shares->at("tpot_s.mean").at("model_error").as_double();
  EXPECT_GT(model, 0);
  EXPECT_LT(model, 1);
  const Value plain = parse_json(orrery(quick({"--json", "--seeds", "4"})).out);
  EXPECT_EQ(s.at("tpot_s").at("mean").as_double(), plain.at("tpot_s").at("mean").as_double());
  const auto wide = interval_of(s, "tpot_s.mean"), narrow = interval_of(plain, "tpot_s.mean");
  ASSERT_TRUE(wide && narrow);
  EXPECT_GT(wide->high - wide->low, narrow->high - narrow->low);
}

}  // namespace
}  // namespace orrery
