/// The command line: the exact message of every mistake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(Cli, WrongOptionsAreToldWithWhatIsMeant) {
  const auto error = [](std::vector<std::string> arguments) { return orrery(arguments).err; };
  EXPECT_EQ(error(quick({"--seeds", "0"})), "orrery: --seeds: expected a whole number of at least 1, got \"0\"\n");
  EXPECT_EQ(error(quick({"--seeds", "x"})), "orrery: --seeds: expected a whole number of at least 1, got \"x\"\n");
  EXPECT_EQ(error(quick({"--seed", "1.5"})), "orrery: --seed: expected a whole number of at least 0, got \"1.5\"\n");
  EXPECT_EQ(error(quick({"--executor", "gpu"})), "orrery: --executor: expected one of model, cpu, cuda, got \"gpu\"; "
                                                 "did you mean \"cpu\"?\n");
  EXPECT_EQ(error(quick({"--sets", "/seed=1"})), "orrery: unknown option \"--sets\"; did you mean \"--set\"?\n"
                                                 "orrery: unexpected argument \"/seed=1\"\n");
  EXPECT_EQ(error({"validate", kQuickstart, "--against", "log"}), "orrery: --against: not available in this version\n");
}

TEST_F(Cli, UnknownNamesListTheNearest) {
  EXPECT_EQ(error_of("/model=llama-3.1-8"),
            "orrery: /model: unknown model \"llama-3.1-8\"; did you mean \"llama-3.1-8b\"?\n");
  EXPECT_THAT(error_of("/hardware=h200-smx"), HasSubstr("/hardware: unknown "));
  EXPECT_THAT(error_of("/hardware=h200-smx"), HasSubstr("did you mean \"h200-sxm\"?\n"));
  EXPECT_EQ(error_of("/policy/batching=sarati"),
            "orrery: /policy/batching: unknown batching \"sarati\"; did you mean \"sarathi\"?\n");
  EXPECT_EQ(error_of("/policy/router=round-rbin"),
            "orrery: /policy/router: unknown router \"round-rbin\"; did you mean \"round-robin\"?\n");
  EXPECT_THAT(
      error_of("/workload/lengths=azure-conv-2032"),
      HasSubstr("/workload/lengths: unknown workload model \"azure-conv-2032\"; did you mean \"azure-conv-2023\"?\n"));
  EXPECT_THAT(error_of("/engine/preset=vlm-0.24"),
              StartsWith("orrery: /engine/preset: unknown engine preset \"vlm-0.24\"; did you mean \"vllm-0.24\"?\n"));
}

TEST_F(Cli, AliasesAndTheWordsOfOtherProgramsAreUnderstood) {
  EXPECT_EQ(error_of("/policy/batching=trtlm"),
            "orrery: /policy/batching: unknown batching \"trtlm\"; did you mean \"trtllm\"?\n");
  EXPECT_EQ(error_of("/hardware=h20o"), "orrery: /hardware: unknown hardware \"h20o\"; did you mean \"h20\"?\n");
  EXPECT_EQ(error_of("/cluster/tensor_parallel_size=2"),
            "orrery: /cluster/tensor_parallel_size: unknown key; did you mean \"tp\"?\n");
  EXPECT_EQ(error_of("/policy/batching={\"name\": \"sarathi\", \"max_num_seqs\": 4}"),
            "orrery: /policy/batching/max_num_seqs: unknown key; did you mean \"max_running\"?\n");
  EXPECT_EQ(error_of("/policy/scheduler=orca"), "orrery: /policy/scheduler: unknown key; did you mean \"batching\"?\n");
  EXPECT_EQ(error_of("/slo={\"tbt_p99\": \"1s\"}"), "orrery: /slo/tbt_p99: unknown key; did you mean \"itl_p99\"?\n");
}

TEST_F(Cli, UnknownKeysTypesAndRanges) {
  EXPECT_EQ(error_of("/clutser/tp=2"), "orrery: /clutser: unknown key; did you mean \"cluster\"?\n");
  EXPECT_EQ(error_of("/policy/batching={\"name\": \"sarathi\", \"token_budget\": -5}"),
            "orrery: /policy/batching/token_budget: expected an integer in [1, 1048576], got -5\n");
  EXPECT_EQ(error_of("/policy/batching={\"name\": \"sarathi\", \"token_buget\": 5}"),
            "orrery: /policy/batching/token_buget: unknown key; did you mean \"token_budget\"?\n");
  EXPECT_EQ(error_of("/cluster/tp=two"), "orrery: /cluster/tp: expected an integer in [1, 64], got \"two\"\n");
  EXPECT_EQ(error_of("/study={}"), "orrery: /study: not available in this version\n");
  EXPECT_EQ(error_of("/model={\"name\": \"llama-3.1-8b\", \"dtype\": \"fp8\"}"),
            "orrery: /model/dtype: \"fp8\" is not available in this version\n");
  EXPECT_EQ(error_of("/hardware={\"name\": \"h200-sxm\", \"cost\": \"roofline\"}"),
            "orrery: /hardware/cost: unknown cost profile \"roofline\"; known: distserve-vllm, distserve, "
            "splitwise-sim, splitwise, spotserve\n");
  EXPECT_EQ(error_of("/hardware={\"name\": \"h200-sxm\", \"cost\": \"plugin:mine\"}"),
            "orrery: /hardware/cost: \"plugin:mine\" is not available in this version\n");
  EXPECT_EQ(error_of("/engine/max_model_len=1000000"),
            "orrery: /engine/max_model_len: expected at most 131072, the context of \"llama-3.1-8b\", got 1000000\n");
}

TEST_F(Cli, ALimitThatTheBatchingPolicyDoesNotHaveIsNotSilent) {
  EXPECT_EQ(error_of("/engine={\"max_num_batched_tokens\": 512, \"chunked_prefill\": false}"),
            "orrery: /engine/chunked_prefill: /policy/batching \"vllm-v1\" always splits long prompts; false needs "
            "one that need not, such as \"vllm\", \"tgi\" or \"tensorrt-llm\"\n");
  EXPECT_EQ(error_of("/engine={\"preset\": \"vllm-0.2\", \"chunked_prefill\": true}"),
            "orrery: /engine/chunked_prefill: /policy/batching \"vllm\" computes every prompt in one piece; true needs "
            "one that splits them, such as \"vllm-v1\", \"sarathi\" or \"tgi\"\n");
}

/// What a policy does anyway may be said; every one that is listed answers to one of the two.
TEST_F(Cli, ChunkedPrefillMayBeSaidWhereItIsSoAnyway) {
  const Value policies = parse_json(orrery({"policies", "--json"}).out);
  int cut = 0, whole = 0, choose = 0;
  for (const Value& p : policies.items()) {
    if (p.at("slot").as_string() != "batching") continue;
    const auto code = [&](const std::string& said) {
      return orrery(quick({"--quiet", "--set", "/slo={}", "--set",
                           "/policy={\"batching\": " + to_json(p.at("name")) + "}", "--set", "/engine={\"chunked_prefill\": " + said + "}"})).code;
    };
    const bool yes = code("true") == 0, no = code("false") == 0;
    EXPECT_TRUE(yes || no) << p.at("name").as_string();
    ++(yes && no ? choose : yes ? cut : whole);
  }
  EXPECT_EQ(choose, 2);   // tgi, tensorrt-llm
  EXPECT_EQ(cut, 4);      // fastgen, sarathi, sglang, vllm-v1
  EXPECT_GE(whole, 6);
}

TEST_F(Cli, AllErrorsComeAtOnceEachOnItsLine) {
  const std::string config = write("bad.json", R"({"model": "lama", "cluster": {"tp": 0}, "seeds": 3,
    "policy": {"batching": "orka", "router": "randon"}, "workload": {"lengths": "azure-conv-2023", "request": 3}})");
  const Answer a = orrery({"run", config});
  EXPECT_EQ(a.code, 1);
  std::istringstream lines(a.err);
  int n = 0;
  for (std::string line; std::getline(lines, line); ++n) EXPECT_THAT(line, StartsWith("orrery: /")) << a.err;
  EXPECT_EQ(n, 6) << a.err;
}

TEST_F(Cli, AModelThatDoesNotFitSaysWhatItNeedsAndWhatThereIs) {
  EXPECT_THAT(
      error_of("/model=llama-3.1-405b"),
      AllOf(HasSubstr("/model: model \"llama-3.1-405b\" does not fit on h200-sxm with tp 1, pp 1: a device needs "),
            HasSubstr(" bytes (weights "), HasSubstr("available ")));
}

TEST_F(Cli, PromptsBeyondTheContextFollowTheSetting) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,200000,20\n2,50,5\n");
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
  const Value rejected = parse_json(orrery({"run", config, "--json"}).out).at("requests");
  EXPECT_EQ(rejected.at("completed").as_int(), 2);
  EXPECT_EQ(rejected.at("rejected").as_int(), 1);
  const Value cut =
      parse_json(orrery({"run", config, "--json", "--set", "/engine/too_long=truncate"}).out).at("requests");
  EXPECT_EQ(cut.at("completed").as_int(), 3);
  EXPECT_EQ(cut.at("cut_to_context").as_int(), 1);
  const Answer refused = orrery({"run", config, "--set", "/engine/too_long=refuse"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(refused.err, "orrery: request 1: a prompt of 200000 tokens does not fit the context of 131072\n");
}

TEST_F(Cli, PromptsBeyondTheKvMemoryFollowTheSetting) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n1,20000,20\n");
  const std::string config =
      write("t.json", R"({"model": "llama-3.1-8b", "engine": {"kv_blocks": 100}, "workload": {"trace": "trace.csv"}})");
  EXPECT_EQ(parse_json(orrery({"run", config, "--json"}).out).at("requests").at("rejected").as_int(), 1);
  EXPECT_EQ(orrery({"run", config, "--set", "/engine/too_long=refuse"}).err,
            "orrery: request 1: 20000 prompt tokens do not fit the KV memory of 100 blocks\n");
}

TEST_F(Cli, TraceErrorsNameFileAndLine) {
  const std::string header = "arrival_s,prompt_tokens,output_tokens\n";
  EXPECT_THAT(trace_error(header + "0,100,10\n1,-5,10\n"), HasSubstr("trace.csv:3: "));
  EXPECT_THAT(trace_error(header + "5,100,10\n1,5,10\n"), HasSubstr("trace.csv:3: "));
  EXPECT_THAT(trace_error(header + "0,nan,10\n"), HasSubstr("trace.csv:2: "));
  EXPECT_THAT(trace_error(header + "0,100\n"), HasSubstr("trace.csv:2: "));
  EXPECT_THAT(trace_error(header + "0,1e18,10\n"), HasSubstr("trace.csv:2: "));
  EXPECT_THAT(trace_error(""), HasSubstr("trace.csv"));
  EXPECT_THAT(error_of("/workload={\"trace\": \"none.csv\"}"), HasSubstr("/workload/trace: no file \"none.csv\" in "));
}

TEST_F(Cli, SyntaxErrorsNameFileLineAndColumn) {
  const std::string config = write("broken.json", "{\n  \"model\": \"llama-3.1-8b\",\n  \"seed\": }\n");
  EXPECT_THAT(orrery({"run", config}).err, StartsWith("orrery: " + config + ":3:11: syntax error"));
  EXPECT_EQ(orrery({"run", path("none.json")}).err, "orrery: " + path("none.json") + ": cannot open this file\n");
}

TEST_F(Cli, ArgumentsThatAreWrong) {
  EXPECT_EQ(orrery({"rnu", "x"}).err, "orrery: unknown verb \"rnu\"; did you mean \"run\"?\n");
  EXPECT_EQ(orrery({"gizmo"}).err,                                // what is not there is not offered
            "orrery: unknown verb \"gizmo\"; known: run, check, cost, policies, schema, rerun, paper, calibrate, "
            "validate\n");
  EXPECT_EQ(orrery({"my config.json"}).err,
            "orrery: \"my config.json\" is no verb; did you mean: orrery run 'my config.json'\n");
  EXPECT_EQ(orrery({"help", "run"}).out, orrery({"run", "--help"}).out);
  EXPECT_EQ(orrery(quick({"--seeds"})).err, "orrery: --seeds: expected a value, K\n");
  EXPECT_EQ(orrery(quick({"--out", ""})).err, "orrery: --out: expected a name, got \"\"\n");
  EXPECT_EQ(orrery({"schema", "x"}).err, "orrery: unknown schema \"x\"; known: run\n");
  EXPECT_EQ(orrery({"run"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--sed", "3"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--seeds", "0"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--metrics", "mine"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--set", "seed=1"}).err,
            "orrery: --set seed=1: expected /json/pointer=VALUE; did you mean /seed=1?\n");
  EXPECT_EQ(orrery({"run", kQuickstart, "--set", "cluster.replicas=2.5"}).err,
            "orrery: --set cluster.replicas=2.5: expected /json/pointer=VALUE; did you mean /cluster/replicas=2.5?\n");
}

TEST_F(Cli, ALimitOnAMetricThatAConventionDoesNotHaveIsRefused) {
  EXPECT_EQ(orrery(quick({"--metrics", "aiperf"})).err, "orrery: /slo/tpot_p99: --metrics aiperf has no such metric\n");
  EXPECT_EQ(orrery(quick({"--metrics", "mlperf", "--quiet"})).code, 0);
}

TEST_F(Cli, APlugInNeedsItsPath) {
  EXPECT_EQ(error_of("/plugins=[\"mine\"]"), "orrery: /plugins/0: give its path: --plugin mine=PATH\n");
  EXPECT_THAT(orrery({"run", kQuickstart, "--plugin", "mine=/no/such.so"}).err,
              StartsWith("orrery: --plugin mine=/no/such.so: "));
  EXPECT_THAT(orrery({"policies", "mine", "--plugin", "mine=/no/such.so"}).err,
              StartsWith("orrery: --plugin mine=/no/such.so: "));
}

TEST_F(Cli, PoolsThatDoNotFitOnTheirNodesAreRefused) {
  const auto with = [](const std::string& nodes) {
    return orrery({"check", kQuickstart, "--set", "/policy/cluster=shortest-queue", "--set",
                   R"(/cluster={"pools": [{"name": "a", "replicas": 3}], "nodes": )" + nodes + "}"});
  };
  EXPECT_EQ(with(R"([{"count": 2, "gpus": 2}])").code, 0);
  EXPECT_EQ(with(R"([{"gpus": 2}])").err,
            "orrery: /cluster/pools/0/replicas: /cluster/nodes has room for 2 of these instances, got 3\n");
  EXPECT_EQ(with(R"([{"count": 4, "gpus": 4, "hardware": "a40"}])").err,
            "orrery: /cluster/pools/0/replicas: /cluster/nodes has room for 0 of these instances, got 3\n");
}

}  // namespace
}  // namespace orrery
