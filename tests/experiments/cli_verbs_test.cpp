/// The command line: help, policies, schema, check, cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/summary.hpp"
#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(Cli, VerbsThatHaveNotLandedSayThatAndExit1) {
  for (const std::string verb : {"sweep", "compare", "plan", "explain", "report", "trace",
                                 "support", "init", "bundle", "cite", "new"}) {
    const Answer a = orrery({verb, "anything", "--with", "arguments"});
    EXPECT_EQ(a.code, 1) << verb;
    EXPECT_EQ(a.err, "orrery: " + verb + ": not available in this version\n");
    EXPECT_EQ(a.out, "");
  }
  EXPECT_EQ(orrery({"schema", "study"}).err, "orrery: schema study: not available in this version\n");
}

TEST_F(Cli, HelpNamesTheVerbs) {
  const Answer a = orrery({"--help"});
  EXPECT_EQ(a.code, 0);
  for (const auto* verb : {"run", "check", "cost", "policies", "schema", "rerun"}) EXPECT_THAT(a.out, HasSubstr(verb));
  EXPECT_THAT(orrery({"run", "--help"}).out, HasSubstr("--no-fast-forward"));
  EXPECT_THAT(orrery({"--version"}).out, StartsWith("orrery "));
}

TEST_F(Cli, PoliciesListNameSlotSystemAliasesAndParameters) {
  const Value list = parse_json(orrery({"policies", "--json"}).out);
  ASSERT_GT(list.items().size(), 20u);
  for (const Value& p : list.items()) {
    for (const auto* key : {"name", "slot", "system", "aliases", "parameters"}) EXPECT_NE(p.find(key), nullptr);
    for (const Value& q : p.at("parameters").items()) {
      for (const auto* key : {"name", "type", "default", "help"}) EXPECT_NE(q.find(key), nullptr);
    }
  }
  EXPECT_THAT(orrery({"policies", "sarathi"}).out,
              AllOf(HasSubstr("token_budget"), HasSubstr("= 512"), HasSubstr("1..1048576 tokens")));
  EXPECT_EQ(orrery({"policies", "sarati"}).err, "orrery: unknown policy \"sarati\"; did you mean \"sarathi\"?\n");
}

TEST_F(Cli, EveryPolicyOfTheListRunsWithItsDefaults) {
  const Value list = parse_json(orrery({"policies", "--json"}).out);
  for (const Value& p : list.items()) {
    const std::string& slot = p.at("slot").as_string();
    if (slot == "power" || slot == "scaling") continue;   // of an entry of /power, /scaling; their own tests run them
    const std::string set = "/policy/" + p.at("slot").as_string() + "=" + p.at("name").as_string();
    const Answer a = orrery(quick({"--json", "--set", set}));
    ASSERT_NE(a.code, 1) << set << ": " << a.err;
    EXPECT_EQ(parse_json(a.out).at("requests").at("offered").as_int(), 300) << set;
  }
}

TEST_F(Cli, TheSchemaKnowsSectionsAndPolicies) {
  const Value s = parse_json(orrery({"schema"}).out);
  const Value& p = s.at("properties");
  EXPECT_EQ(p.at("cluster").at("properties").at("tp").at("maximum").as_int(), 64);
  EXPECT_NE(find_path(p, "policy.properties.batching.anyOf"), nullptr);
  EXPECT_NE(find_path(p, "study.not"), nullptr);
  EXPECT_EQ(to_json(s.at("required"), -1), "[\"model\", \"workload\"]");
}

TEST_F(Cli, CheckSaysWhatAConfigResolvesTo) {
  const Answer a = orrery({"check", kQuickstart});
  EXPECT_EQ(a.code, 0) << a.err;
  for (const auto* word :
       {"weights 16.1 GB", "blocks of 16 tokens a replica", "131,072 bytes", "roofline", "/h (", "held-out error"}) {
    EXPECT_THAT(a.out, HasSubstr(word));
  }
  EXPECT_EQ(parse_json(orrery({"check", kQuickstart, "--json"}).out).at("deployment").at("gpus").as_int(), 2);
}

TEST_F(Cli, CostQuotesOneOperator) {
  const Answer a = orrery({"cost", "h200-sxm", "--op", "gemm", "--set", "m=64,n=6144,k=4096"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_THAT(a.out, AllOf(HasSubstr("TFLOP/s"), HasSubstr("fitted, inside the fitted range"), HasSubstr("[")));
  EXPECT_EQ(orrery({"cost", "h200-sxm", "--op", "gem", "--set", "m=64"}).err,
            "orrery: unknown operator \"gem\"; did you mean \"gemm\"?\n");
  EXPECT_EQ(orrery({"cost", "h200-sxm", "--op", "gemm", "--set", "m"}).err,
            "orrery: --set m: expected k=v,... with numbers, for instance m=64,n=6144,k=4096\n");
  EXPECT_EQ(orrery({"cost", "h200-sxm", "--op", "gemm", "--crossovers"}).err,
            "orrery: cost --crossovers: not available in this version\n");
}

TEST_F(Cli, CostPredictsAFileOfShapes) {
  const std::string shapes = write("shapes.csv", "op,m,n,k\ngemm,64,6144,4096\ngemm,128,6144,4096\n");
  const Answer a = orrery({"cost", "h200-sxm", "--predict", shapes});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_THAT(a.out, StartsWith("op,m,n,k,seconds,low_s,high_s,flops_per_s,grade,in_fitted_range\ngemm,64,6144,4096,"));
  const std::string bad = write("bad.csv", "op,m,n,k\ngemm,64,6144\ngemm,x,1,1\n");
  EXPECT_THAT(orrery({"cost", "h200-sxm", "--predict", bad}).err,
              AllOf(HasSubstr(bad + ":2: expected 4 fields, got 3\n"), HasSubstr(bad + ":3: ")));
}

}  // namespace
}  // namespace orrery
