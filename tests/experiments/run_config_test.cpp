/// Every key of the run config: what it means, and the exact message when it is wrong, unknown or not there yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/run_config.hpp"

namespace orrery {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

struct Reading {
  RunConfig config;
  std::vector<std::string> errors;
};

Reading read(std::string_view text) {
  ErrorList errors;
  Reading r;
  r.config = read_run_config({parse_json(text), {"run.json"}, "."}, errors);
  r.errors = errors.lines();
  return r;
}

/// The errors of a config that is right but for `more`.
std::vector<std::string> errors_with(const std::string& more) {
  return read(R"({"model": "m", "workload": {}, )" + more + "}").errors;
}

TEST(RunConfig, TheShortFormReadsAndDefaultsTheRest) {
  const Reading r = read(R"({
    "model": "llama-3.1-8b", "hardware": "h200-sxm", "cluster": { "replicas": 2, "tp": 1 },
    "workload": { "arrival": { "process": "poisson", "rate": "12/s" }, "lengths": "azure-conv-2023",
        "requests": 20000 },
    "policy": { "batching": "sarathi", "router": "least-loaded" },
    "slo": { "ttft_p99": "500ms", "tpot_p99": "40ms" }, "seed": 1 })");
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.config.cluster.replicas, 2);
  EXPECT_EQ(r.config.policy.batching.name, "sarathi");
  EXPECT_EQ(r.config.policy.kv.name, "paged");
  EXPECT_FALSE(r.config.policy.kv.given);
  ASSERT_EQ(r.config.slo.size(), 2u);
  EXPECT_EQ(r.config.slo[0].metric, Metric::kTtft);
  EXPECT_EQ(r.config.slo[0].limit, 500ms);
  EXPECT_EQ(slo_key(r.config.slo[1]), "tpot_p99");
  EXPECT_EQ(r.config.warmup, std::nullopt);
  EXPECT_TRUE(r.config.stop.drain);
}

TEST(RunConfig, ModelAndWorkloadAreAllThatIsRequired) {
  EXPECT_THAT(read("{}").errors, ElementsAre("/model: missing key", "/workload: missing key"));
  EXPECT_THAT(read(R"({"model": "m", "workload": {}})").errors, IsEmpty());
}

TEST(RunConfig, UnknownKeysNameTheNearest) {
  EXPECT_THAT(errors_with(R"("hardwear": "h200")"), ElementsAre("/hardwear: unknown key; did you mean \"hardware\"?"));
  EXPECT_THAT(errors_with(R"("cluster": {"replcas": 2})"),
              ElementsAre("/cluster/replcas: unknown key; did you mean \"replicas\"?"));
  EXPECT_THAT(errors_with(R"("engine": {"max_num_seq": 2})"),
              ElementsAre("/engine/max_num_seq: unknown key; did you mean \"max_num_seqs\"?"));
}

TEST(RunConfig, ReservedKeysAreNotAvailableRatherThanUnknown) {
  for (const std::string key : {"study", "plan"}) {
    EXPECT_THAT(errors_with('"' + key + "\": []"), ElementsAre("/" + key + ": not available in this version"));
  }
  EXPECT_THAT(errors_with(R"("cluster": {"ep": 8, "dp": 1})"),
              ElementsAre("/cluster/ep: not available in this version (only 1 is)"));
  EXPECT_THAT(errors_with(R"("models": {})"), Contains("/models: not available in this version; name one /model"));
}

TEST(RunConfig, AKvTierIsHostMemoryOfSomeSizeAndBandwidth) {
  const auto tiers = [](const std::string& text) {
    return read(R"({"model": "m", "workload": {}, "engine": {"kv_tiers": )" + text + "}}");
  };
  const Reading r = tiers(R"([{"name": "dram", "size": "128GB", "bandwidth": "25GB/s"}])");
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.config.engine.tier.name, "dram");
  EXPECT_EQ(r.config.engine.tier.size, 128e9);
  EXPECT_EQ(r.config.engine.tier.bytes_per_s, 25e9);
  EXPECT_THAT(tiers("[]").errors, IsEmpty());
  EXPECT_EQ(tiers("[]").config.engine.tier.name, "");
  EXPECT_THAT(tiers(R"({"name": "dram"})").errors,
              ElementsAre("/engine/kv_tiers: expected an array such as [{\"name\": \"dram\", \"size\": \"128GB\", "
                          "\"bandwidth\": \"25GB/s\"}], got an object"));
  EXPECT_THAT(tiers("[{}]").errors, ElementsAre("/engine/kv_tiers/0/name: missing key",
                                                "/engine/kv_tiers/0/size: missing key",
                                                "/engine/kv_tiers/0/bandwidth: missing key"));
  EXPECT_THAT(tiers(R"([{"name": "ssd", "size": "1TB", "bandwidth": "5GB/s", "sise": 1}, {"name": "x"}])").errors,
              ElementsAre("/engine/kv_tiers/1: a second tier is not available in this version; the first is host "
                          "memory",
                          "/engine/kv_tiers/0/name: expected \"dram\", got \"ssd\"",
                          "/engine/kv_tiers/0/sise: unknown key; did you mean \"size\"?"));
  EXPECT_THAT(tiers(R"([{"name": "dram", "size": "-1GB", "bandwidth": "5GB"}])").errors,
              ElementsAre("/engine/kv_tiers/0/size: expected a value in [1, 1e+15], got \"-1GB\"",
                          "/engine/kv_tiers/0/bandwidth: expected a bandwidth like \"25GB/s\", got \"5GB\""));
}

TEST(RunConfig, PowerDomainsNameTheirPoolsBudgetAndServers) {
  const std::string pools = R"("policy": {"cluster": "by-priority"}, "cluster": {"pools": [
      {"name": "high"}, {"name": "low", "priority": 1}]}, )";
  const Reading r =
      read(R"({"model": "m", "workload": {}, )" + pools + R"("power": [{"domain": "row", "pools": ["high", "low"],
      "budget": "260kW", "cap_delay": "20s", "server": {"constant": "1.6kW", "share": 0.5},
          "policy": {"name": "polca", "t1": 0.7}}]})");
  EXPECT_THAT(r.errors, IsEmpty());
  ASSERT_EQ(r.config.power.size(), 1u);
  const PowerConfig& row = r.config.power[0];
  EXPECT_THAT(row.pools, ElementsAre(0, 1));
  EXPECT_EQ(row.budget_w, 260e3);
  EXPECT_EQ(row.telemetry, 2s);
  EXPECT_EQ(row.cap_delay, 20s);
  EXPECT_EQ(row.brake_delay, 5s);
  EXPECT_EQ(row.constant_w, 1600);
  EXPECT_EQ(row.policy.name, "polca");
  EXPECT_EQ(r.config.pools[1].priority, 1);

  const auto errors = [&](const std::string& domains) { return errors_with(pools + R"("power": )" + domains); };
  EXPECT_THAT(errors("{}"), ElementsAre("/power: expected an array, got an object"));
  EXPECT_THAT(errors("[{}]"), ElementsAre("/power/0/domain: missing key", "/power/0/budget: missing key"));
  EXPECT_THAT(errors(R"([{"domain": "a", "pools": [], "budget": 9e5}])"),
              ElementsAre("/power/0/pools: expected at least one pool"));
  EXPECT_THAT(errors(R"([{"domain": "a", "pools": ["hihg", "low", "low"], "budget": 9e5}])"),
              ElementsAre("/power/0/pools/0: unknown pool \"hihg\"; did you mean \"high\"?",
                          "/power/0/pools/2: \"low\" is named twice"));
  EXPECT_THAT(
      errors(
          R"([{"domain": "a", "pools": ["low"], "budget": 9e5}, {"domain": "a", "pools": ["high", "low"],
              "budget": 9e5}])"),
      ElementsAre("/power/1/domain: \"a\" is the name of another domain",
                  "/power/1/pools: pool \"low\" is in domain \"a\" already"));
  EXPECT_THAT(
      errors(R"([{"domain": "a", "budget": 9e5}, {"domain": "b", "pools": ["low"], "budget": "9kW", "telemetry": 0}])"),
      ElementsAre(HasSubstr("/power/1/telemetry: expected a duration"),
                  "/power/1/pools: domain \"a\" and this one have servers in common"));
}

TEST(RunConfig, ARuleMayLetAPoolGrow) {
  const Reading r = read(R"({"model": "m", "workload": {}, "policy": {"cluster": "shortest-queue"},
      "cluster": {"pools": [{"name": "chat", "replicas": 12}, {"name": "code", "replicas": 3, "serving": 2}]},
      "scaling": [{"pool": "chat", "min": 8, "max": 16}, {"pool": "code", "max": 3}]})");
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.config.pools[0].replicas, 16);
  EXPECT_EQ(r.config.pools[0].serving, 12) << "it starts with its own";
  EXPECT_EQ(r.config.pools[1].replicas, 3);
  EXPECT_EQ(r.config.pools[1].serving, 2);
}

TEST(RunConfig, SignalsAreNumbersFilesOrObjects) {
  const Reading r = read(
      R"({"model": "m", "workload": {}, "signals": {"carbon": {"file": "es.csv", "column": "ES", "start": "800h",
          "pue": 1.2},
      "price": 1.5, "power": [{"value": 2000, "domain": "row"}]}})");
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.config.signals.carbon->file, "es.csv");
  EXPECT_EQ(r.config.signals.carbon->pue, 1.2);
  EXPECT_EQ(r.config.signals.carbon->start, 800h);
  EXPECT_EQ(r.config.signals.price.at(0).value, 1.5);
  EXPECT_EQ(r.config.signals.power.at(0).domain, "row");
  EXPECT_THAT(
      errors_with(R"("signals": {"carbon": {}, "price": {"file": "p.csv", "value": 2, "pue": 2}, "prize": 3})"),
      ElementsAre("/signals/carbon: expected a number, the name of a file, or an object with \"file\" or \"value\"",
                  "/signals/price/value: stands beside a file", "/signals/price/pue: unknown key",
                  "/signals/prize: unknown key; did you mean \"price\"?"));
}

TEST(RunConfig, CapacityIsReadAndItsErrorsNamed) {
  EXPECT_THAT(errors_with(R"("policy": {"cluster": "shortest-queue"},
                             "signals": {"capacity": {"rows": ["0,add,2"], "grace": "30s", "gpus_per_node": 4,
                                 "usd_per_hour": 1.9}})"),
              IsEmpty());
  EXPECT_THAT(
      errors_with(R"("signals": {"capacity": {"rows": ["0,add,2"]}})"),
      ElementsAre("/signals/capacity: needs a /policy/cluster, which says what becomes of calls when a node goes"));
  EXPECT_THAT(
      errors_with(R"("policy": {"cluster": "splitwise"}, "signals": {"capacity": {"file": "a", "rows": ["0,add,2"]}})"),
      ElementsAre("/signals/capacity: needs either \"file\" or \"rows\""));
  EXPECT_THAT(errors_with(R"("policy": {"cluster": "splitwise"}, "cluster": {"pools": [{"name": "main"}]},
                             "signals": {"capacity": {"file": "a", "pool": "mian", "graces": 1}})"),
              ElementsAre("/signals/capacity/pool: unknown pool \"mian\"; did you mean \"main\"?",
                          "/signals/capacity/graces: unknown key; did you mean \"grace\"?"));
}

TEST(RunConfig, NodesAndLifecyclesOfPools) {
  const Reading r = read(R"({"model": "m", "workload": {}, "policy": {"cluster": "shortest-queue"}, "cluster": {
      "pools": [{"name": "a", "lifecycle": {"min": 1, "keep_alive": "60s", "tier": "remote", "engine_init": "2s"}}],
      "nodes": [{"count": 4, "gpus": 8, "dram": {"size": "1TB", "bandwidth": "20GB/s"}, "ssd": {"bandwidth": "12GB/s"},
                 "network": {"bandwidth": "1.25GB/s"}}]}})");
  ASSERT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.config.pools.at(0).lifecycle.keep_alive, Duration{60s});
  EXPECT_EQ(r.config.pools.at(0).lifecycle.tier, Tier::kRemote);
  EXPECT_EQ(r.config.nodes.at(0).count, 4);
  EXPECT_EQ(r.config.nodes.at(0).server.dram, Bytes{1'000'000'000'000});
  EXPECT_EQ(r.config.nodes.at(0).server.ssd_bytes_per_s, 12'000'000'000);
  EXPECT_THAT(
      errors_with(R"("policy": {"cluster": "shortest-queue"}, "cluster": {
      "pools": [{"name": "a", "lifecycle": {"min": 2, "tier": "tape", "keepalive": 1}}], "nodes": [{"ssd": {}}]})"),
      UnorderedElementsAre(HasSubstr("/cluster/pools/0/lifecycle/min: expected an integer in [0, 1]"),
                           HasSubstr("/cluster/pools/0/lifecycle/tier: "),
                           HasSubstr("/cluster/pools/0/lifecycle/keepalive: unknown key; did you mean \"keep_alive\"?"),
                           "/cluster/nodes/0/gpus: missing key", "/cluster/nodes/0/ssd/bandwidth: missing key"));
  EXPECT_THAT(errors_with(R"("cluster": {"nodes": [{"gpus": 8}]})"),
              ElementsAre(HasSubstr("/cluster/nodes: instances stand on nodes where /cluster/pools names them")));
}

TEST(RunConfig, KernelsFormatAndLayoutAreNamesOrObjects) {
  EXPECT_THAT(errors_with(R"("engine": {"kernels": {"attention": "fa2", "softmax": "unified-max", "gemm": "auto"},
                                        "kv_format": {"name": "kivi", "bits": 4, "group": 32, "residual": 128},
                                        "kv_layout": {"name": "virtual-contiguous", "page_group": "64KB",
                                            "premap": false}})"),
              IsEmpty());
  EXPECT_THAT(errors_with(R"("engine": {"kv_format": "fp8", "kv_layout": "paged"})"), IsEmpty());
  EXPECT_THAT(errors_with(R"("engine": {"kv_format": "int3", "kernels": {"gem": "flat", "attention": 2}})"),
              UnorderedElementsAre(HasSubstr("/engine/kv_format/name: "),
                                   HasSubstr("/engine/kernels/gem: unknown key; did you mean \"gemm\"?"),
                                   HasSubstr("/engine/kernels/attention: ")));
}

TEST(RunConfig, CommentsAndSchemaAreAllowedAnywhere) {
  EXPECT_THAT(errors_with(R"("$schema": "x", "//": "note", "cluster": {"// why": "because", "tp": 2})"), IsEmpty());
}

TEST(RunConfig, TypesAndRangesAreToldTogether) {
  EXPECT_THAT(errors_with(R"("cluster": {"replicas": 0, "tp": "two"}, "engine": {"block_size": 1.5, "too_long": "cut"},
                             "seed": -1, "rows": 1, "stop": {"after": "soon"}, "warmup": "later", "plugins": "x")"),
              ElementsAre("/cluster/replicas: expected an integer in [1, 65536], got 0",
                          "/cluster/tp: expected an integer in [1, 64], got \"two\"",
                          "/engine/block_size: expected an integer in [1, 65536], got 1.5",
                          "/engine/too_long: expected one of \"reject\", \"truncate\", \"refuse\", got \"cut\"",
                          "/stop/after: expected a duration like \"200ms\", got \"soon\"",
                          "/warmup: expected a duration like \"200ms\", got \"later\"",
                          "/plugins: expected an array of strings, got \"x\"",
                          "/seed: expected an integer in [0, 9007199254740992], got -1",
                          "/rows: expected true or false, got 1"));
}

TEST(RunConfig, PoliciesAreNamesOrObjectsWithAName) {
  EXPECT_THAT(errors_with(R"("policy": {"batching": 7, "order": {}, "kv": {"name": 3}, "rooter": "x"})"),
              ElementsAre("/policy/batching: expected the name of a policy or {\"name\": ...}, got 7",
                          "/policy/order/name: missing key", "/policy/kv/name: expected a string, got 3",
                          "/policy/rooter: unknown key; did you mean \"router\"?"));
  const Reading r =
      read(R"({"model": "m", "workload": {}, "policy": {"batching": {"name": "sarathi", "token_budget": 64}}})");
  EXPECT_EQ(r.config.policy.batching.name, "sarathi");
  EXPECT_EQ(to_json(r.config.policy.batching.parameters, -1), R"({"token_budget": 64})");
}

TEST(RunConfig, SloKeysAreMetricAndPercentile) {
  const Reading r =
      read(R"({"model": "m", "workload": {}, "slo": {"e2e_p99.9": "8s", "queue_p50": 2, "itl_p95": "90ms"}})");
  EXPECT_THAT(r.errors, IsEmpty());
  ASSERT_EQ(r.config.slo.size(), 3u);
  EXPECT_EQ(r.config.slo[0].percentile, 99.9);
  EXPECT_EQ(slo_key(r.config.slo[0]), "e2e_p99.9");
  EXPECT_EQ(r.config.slo[1].limit, 2s);
  EXPECT_THAT(errors_with(R"("slo": {"ttft_99": "1s", "tpot_p99": "fast", "ttft_p0": 1, "e2e_p101": 1})"),
              ElementsAre("/slo/tpot_p99: expected a duration like \"200ms\", got \"fast\"",
                          "/slo/ttft_99: unknown key; did you mean \"ttft_p99\"?",
                          "/slo/ttft_p0: unknown key; did you mean \"ttft_p99\"?", "/slo/e2e_p101: unknown key"));
}

TEST(RunConfig, ClassesCarryLimitsAndPriority) {
  const Reading r = read(R"({"model": "m", "workload": {}, "classes": {
      "web": {"match": {"tenant": ["a", "b"]}, "slo": {"ttft_p99": "1s"}, "priority": -2}, "batch": {}}})");
  EXPECT_THAT(r.errors, IsEmpty());
  ASSERT_EQ(r.config.classes.size(), 2u);
  EXPECT_THAT(r.config.classes[0].tenants, ElementsAre("a", "b"));
  EXPECT_EQ(r.config.classes[0].priority, -2);
  EXPECT_EQ(r.config.slo.at(0).request_class, 0);
  EXPECT_THAT(errors_with(R"("classes": {"web": {"qoe": {}, "retry": {}, "wait": 3}})"),
              ElementsAre("/classes/web/retry/max: missing key",
                          "/classes/web/qoe/tpot: missing key", "/classes/web/wait: unknown key"));
  EXPECT_THAT(
      errors_with(R"("classes": {"web": {"qoe": {"ttft": "-1s", "tpot": 0, "formula": "v3"}}})"),
      ElementsAre("/classes/web/qoe/ttft: expected a duration in [0, 3600] s, got \"-1s\"",
                  "/classes/web/qoe/tpot: expected a duration in [0.001, 60] s, got 0",
                  "/classes/web/qoe/formula: expected one of \"v1\", \"v2\", got \"v3\"; did you mean \"v1\"?"));
}

TEST(RunConfig, ClassesSayHowClientsBehave) {
  const Reading r = read(R"({"model": "m", "workload": {}, "classes": {
      "web": {"weight": 3, "timeout": "30s", "retry": {"max": 2, "backoff": "1s"}}, "batch": {}}})");
  EXPECT_THAT(r.errors, IsEmpty());
  const std::vector<ClientRule> rules = client_rules(r.config.classes);
  ASSERT_EQ(rules.size(), 3u) << "the last is \"other\"";
  EXPECT_EQ(rules[0].timeout, 30s);
  EXPECT_EQ(rules[0].retries, 2);
  EXPECT_EQ(rules[0].wait_before(2), 1s);
  EXPECT_EQ(rules[0].wait_before(4), 4s);
  EXPECT_EQ(rules[0].wait_before(100), 24h);
  EXPECT_EQ(rules[1].timeout, Duration::max());
  EXPECT_EQ(rules[2].retries, 0);
  EXPECT_EQ(service_classes(r.config.classes)[0].weight, 3);
  EXPECT_THAT(client_rules(read(R"({"model": "m", "workload": {}, "classes": {"web": {"weight": 3}}})").config.classes),
              IsEmpty());
}

TEST(RunConfig, WhatClientsCannotDoIsAnError) {
  EXPECT_THAT(errors_with(R"("classes": {"a": {"retry": {"max": 2, "backoff": "-1s"}}, "b": {"retry": {"max": -1}},
                                         "c": {"timeout": "-3s", "weight": 0}, "other": {}})"),
              ElementsAre("/classes/a/retry/backoff: expected a duration in [0, 86400] s, got \"-1s\"",
                          "/classes/b/retry/max: expected an integer in [0, 1000], got -1",
                          "/classes/c/weight: expected a number in [0.001, 1000], got 0",
                          "/classes/c/timeout: expected a duration in [0, 9000000] s, got \"-3s\"",
                          "/classes/other: is the class of all that match no other; choose another name"));
}

std::vector<std::string> class_errors(const std::string& classes) {
  const Reading r = read(R"({"model": "m", "workload": {}, "classes": )" + classes + "}");
  ResolvedInfo workload;
  workload.tenants = {"", "web", "batch"};
  workload.classes = {"", "chat"};
  ErrorList errors;
  check_classes(r.config.classes, workload, errors);
  return errors.lines();
}

TEST(RunConfig, ClassesThatMatchNothingAreErrors) {
  EXPECT_THAT(class_errors(R"({"a": {"match": {"tenant": ["wep"]}}, "b": {"match": {"model": ["llama"]}}})"),
              ElementsAre("/classes/a/match/tenant: matches nothing: unknown tenant \"wep\"; did you mean \"web\"?",
                          "/classes/b/match/model: matches nothing: the requests of this workload have no model"));
  EXPECT_THAT(
      class_errors(R"({"a": {"match": {"tenant": ["web"]}},
                               "b": {"match": {"tenant": ["web"], "class": ["chat"]}}})"),
      ElementsAre("/classes/b: no request can be in it: class \"a\" stands before it and matches all that it does"));
  EXPECT_THAT(class_errors(R"({"a": {"match": {"tenant": ["web"]}}, "b": {"match": {"class": ["chat"]}}})"), IsEmpty())
      << "classes may overlap: the first counts";
}

TEST(RunConfig, WhereSomeHaveAWeightAllTenantsMust) {
  EXPECT_THAT(class_errors(R"({"a": {"match": {"tenant": ["web"]}, "weight": 2}})"),
              ElementsAre("/classes: tenant \"batch\" has no weight, while others have one"));
  EXPECT_THAT(class_errors(R"({"a": {"match": {"tenant": ["web"]}, "weight": 2}, "b": {"weight": 1}})"), IsEmpty());
}

TEST(RunConfig, PrefixCacheIsANameOrAnObject) {
  EXPECT_EQ(read(R"({"model": "m", "workload": {}, "engine": {"prefix_cache": "radix"}})").config.engine.prefix_cache,
            "radix");
  EXPECT_EQ(read(R"({"model": "m", "workload": {}, "engine": {"prefix_cache": {"kind": "hash"}}})")
                .config.engine.prefix_cache,
            "hash");
  EXPECT_THAT(errors_with(R"("engine": {"prefix_cache": {"kind": "lru"}})"),
              ElementsAre("/engine/prefix_cache/kind: expected one of \"none\", \"hash\", \"radix\", got \"lru\""));
}

TEST(RunConfig, AConfigThatIsNoObjectIsOneErrorAndItsConsequences) {
  EXPECT_THAT(read("[]").errors, ElementsAre("/: expected an object, got an array"));
  EXPECT_THAT(errors_with(R"("slo": 3, "classes": [], "cluster": 1)"),
              ElementsAre("/cluster: expected an object, got 1", "/slo: expected an object, got 3",
                          "/classes: expected an object of classes by name, got an array"));
}

}  // namespace
}  // namespace orrery
