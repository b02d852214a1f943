/// /cluster/placement: what is searched for, what a run says of it, and what is refused.
#include "experiments/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/assembly.hpp"
#include "experiments/screen.hpp"
#include "experiments/summary.hpp"

namespace orrery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Value config(const std::string& placement, const std::string& more = "") {
  return parse_json(R"({"model": "opt-13b", "hardware": {"name": "a100-80g", "cost": "distserve"}, "warmup": "0s",
    "workload": {"arrival": {"process": "poisson", "rate": "5/s"}, "lengths": {"prompt": 500, "output": 50},
        "requests": 200},
    "slo": {"ttft_p90": "250ms", "tpot_p90": "100ms"}, "policy": {"batching": "vllm"}, "cluster": {"placement": )" +
                    placement + "}" + more + "}");
}

Assembly assembled(Value v) {
  v.anchor("");
  return assemble(Document{std::move(v), {"test"}, "."});
}

std::string refusal(Value v) {
  try {
    assembled(std::move(v));
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

constexpr const char* kFour = R"({"algorithm": "distserve-high", "gpus": 4, "simulated": "20s"})";

TEST(PlacementKey, FindsPoolsThatFitAndSaysWhatTheyServe) {
  for (const std::string algorithm : {"distserve-high", "distserve-low"}) {
    const Assembly a = assembled(config("{\"algorithm\": \"" + algorithm + "\", \"gpus\": 4, \"simulated\": \"20s\"}"));
    ASSERT_EQ(a.pools.size(), 2u);
    EXPECT_EQ(a.pools[0].role, Role::kPrefill);
    EXPECT_EQ(a.pools[1].role, Role::kDecode);
    EXPECT_LE(a.deployment.facts.all_gpus, 4);
    EXPECT_EQ(a.placement.at("algorithm").as_string(), algorithm);
    EXPECT_EQ(a.placement.at("gpus").as_int(), a.deployment.facts.all_gpus);
    EXPECT_NEAR(a.placement.at("goodput_per_gpu").as_double() * static_cast<double>(a.deployment.facts.all_gpus),
                a.placement.at("goodput_rps").as_double(), 1e-9);
    EXPECT_GT(a.placement.at("simulations").as_int(), 10);
    EXPECT_EQ(a.resolved_policies.at("cluster").at("name").as_string(), "distserve");
    EXPECT_EQ(a.resolved_policies.at("cluster").at("paired").as_bool(), algorithm == "distserve-low");
  }
}

/// config.json holds the pools, not the search, and runs to the same result.
TEST(PlacementKey, TheResolvedConfigHasThePools) {
  const Assembly a = assembled(config(kFour));
  Value resolved = resolved_config(a);
  EXPECT_EQ(resolved.at("cluster").find("placement"), nullptr);
  ASSERT_EQ(resolved.at("cluster").at("pools").items().size(), 2u);
  const Assembly again = assembled(resolved);
  EXPECT_TRUE(again.placement.is_null());
  EXPECT_EQ(replicate(again, 1, {}).outcome.fingerprint, replicate(a, 1, {}).outcome.fingerprint);
}

TEST(PlacementKey, ARateIsServedWithAsManyInstancesAsItTakes) {
  const Assembly a =
      assembled(config(R"({"algorithm": "distserve-high", "gpus": 16, "rate": "12/s", "simulated": "20s"})"));
  EXPECT_GE(a.placement.at("goodput_rps").as_double(), 12);
  EXPECT_LT(a.deployment.facts.all_gpus, 16);
}

TEST(PlacementKey, TheScreenSaysWhatWasFound) {
  Value s = parse_json(R"({"algorithm": "distserve-low", "gpus": 10, "goodput_rps": 12.34, "goodput_per_gpu": 1.234, "simulations": 84,
      "pools": [{"name": "prefill", "replicas": 2, "tp": 4, "pp": 1}, {"name": "decode", "replicas": 1, "tp": 1, "pp": 2}]})");
  const Assembly a = assembled(config(kFour));
  RunResult r;
  r.config_path = "x.json";
  r.placement = s;
  r.replications.push_back(replicate(a, 1, {}));
  EXPECT_THAT(
      screen_of(summary_of(r)),
      HasSubstr("\n placement  distserve-low: 2 x prefill tp4 | 1 x decode tp1 pp2 on 10 GPUs | goodput 12.34 req/s, "
                "1.23 per GPU | found\n            by 84 simulations\n"));
}

TEST(PlacementKey, ErrorsNameWhatIsMissing) {
  EXPECT_THAT(
      refusal(config(R"({"algorithm": "distserve-hi", "gpus": 1})")),
      ::testing::AllOf(HasSubstr("/cluster/placement/algorithm: "), HasSubstr("/cluster/placement/gpus: expected")));
  EXPECT_THAT(refusal(config(R"({"gpu": 8})")),
              HasSubstr("/cluster/placement/gpu: unknown key; did you mean \"gpus\"?"));
  Value v = config(kFour);
  v["slo"].erase("tpot_p90");
  EXPECT_THAT(refusal(v), HasSubstr("/cluster/placement: needs limits on ttft and tpot in /slo"));
  v = config(kFour);
  v["cluster"]["pools"] = parse_json(R"([{"name": "a"}])");
  EXPECT_THAT(refusal(v), HasSubstr("/cluster/placement: places pools by itself; /cluster/pools is given, too"));
  v = config(kFour);
  v["workload"]["arrival"] = parse_json(R"({"process": "closed", "users": 3})");
  EXPECT_THAT(refusal(v), HasSubstr("/cluster/placement: needs a /workload/arrival with a rate"));
}

TEST(PlacementKey, ALimitThatNothingMeetsIsToldAsSuch) {
  Value v = config(kFour);
  v["slo"]["ttft_p90"] = "1ms";
  EXPECT_THAT(refusal(v), HasSubstr("/cluster/placement: no placement on 4 devices keeps /slo"));
  v = config(R"({"gpus": 2, "rate": "1000/s", "simulated": "5s"})");
  EXPECT_THAT(refusal(v), HasSubstr("no placement on 2 devices keeps /slo at this rate"));
}

/// What cannot be run at all is told as the config's own error.
TEST(PlacementKey, OtherErrorsStayThemselves) {
  Value v = config(kFour);
  v["model"] = "opt-13bb";
  EXPECT_THAT(refusal(v), HasSubstr("/model: "));
}

}  // namespace
}  // namespace orrery
