/// The command line: what a run prints, and its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "experiments/summary.hpp"
#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Cli, TheQuickstartRunsAndFitsOneScreen) {
  const Answer a = orrery(quick());
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(a.err, "");
  EXPECT_LE(std::count(a.out.begin(), a.out.end(), '\n'), 30);
  EXPECT_THAT(a.out, AllOf(HasSubstr("llama-3.1-8b bf16 on 2 x h200-sxm tp1"), HasSubstr("300 of 300 done"),
                           HasSubstr(" engine "), HasSubstr(" not modelled "), HasSubstr(" headroom "),
                           HasSubstr(" real-engine check  never compared with a real engine")));
}

TEST_F(Cli, AMissedSloIsExitCode2AndTheLastLine) {
  const Answer a = orrery(quick({"--set", "/slo/ttft_p99=1us"}));
  EXPECT_EQ(a.code, 2);
  const std::string last = a.out.substr(a.out.rfind('\n', a.out.size() - 2) + 1);
  EXPECT_THAT(last, StartsWith("SLO missed: ttft_p99 "));
  const Answer quiet = orrery(quick({"--set", "/slo/ttft_p99=1us", "--quiet"}));
  EXPECT_EQ(quiet.code, 2);
  EXPECT_EQ(quiet.out, last);
}

TEST_F(Cli, JsonIsTheSummaryAndNothingElse) {
  const Answer a = orrery(quick({"--json"}));
  EXPECT_EQ(a.code, 0);
  EXPECT_EQ(parse_json(a.out).at("schema").as_string(), "orrery-summary-1");
  EXPECT_EQ(a.err, "");
}

TEST_F(Cli, SameSeedSameFingerprintWhateverTheOptions) {
  const auto fingerprint = [](const Answer& a) { return parse_json(a.out).at("fingerprint").as_string(); };
  const std::string first = fingerprint(orrery(quick({"--json"})));
  EXPECT_EQ(fingerprint(orrery(quick({"--json", "--no-rows", "--exact"}))), first);
  EXPECT_EQ(fingerprint(orrery(quick({"--json", "--no-fast-forward"}))), first);
  EXPECT_EQ(fingerprint(orrery(quick({"--json", "--verify-fast-forward"}))), first);
  EXPECT_EQ(fingerprint(orrery(quick({"--json", "--metrics", "guidellm"}))), first);
  EXPECT_NE(fingerprint(orrery(quick({"--json", "--seed", "2"}))), first);
}

TEST_F(Cli, ResultsOfSeveralModelsAreTold) {
  const std::string config = write("m.json", R"({"model": "llama-3.1-8b", "workload": {"models": {"count": 2, "zipf": 1},
      "arrival": {"rate": 9}, "lengths": {"prompt": 100, "output": 10}, "requests": 300}})");
  ASSERT_EQ(orrery({"run", config, "--out", path("out"), "--quiet"}).code, 0);
  const Value s = parse_json_file(path("out/summary.json"));
  const std::string rows = read(folder_ / "out" / "requests.csv");
  std::int64_t offered = 0;
  for (const std::string name : {"m1", "m2"}) {
    const Value& one = s.at("by_model").at(name);
    std::int64_t in_rows = 0;
    for (std::size_t at = 0; (at = rows.find("," + name + ",", at + 1)) != std::string::npos;) ++in_rows;
    EXPECT_EQ(one.at("requests").at("completed").as_int(), in_rows);
    EXPECT_GT(one.at("ttft_s").at("p99").as_double(), 0);
    offered += one.at("requests").at("offered").as_int();
  }
  EXPECT_EQ(offered, 300);
}

TEST_F(Cli, PrefixesThatNobodyCachesAreTold) {
  const std::string config = write("s.json", R"({"model": "llama-3.1-8b", "workload": {"arrival": {"rate": 9},
      "lengths": {"prompt": 100, "output": 10}, "requests": 30, "sessions": {"turns": 2, "think": "1s"}}})");
  const std::string note = "/engine/prefix_cache is \"none\"";
  EXPECT_THAT(orrery({"run", config}).out, HasSubstr(note));
  EXPECT_THAT(orrery({"run", config, "--set", "/engine/prefix_cache=hash"}).out, Not(HasSubstr(note)));
  EXPECT_THAT(orrery(quick()).out, Not(HasSubstr(note)));
}

/// 60 sessions in KV memory for a few of them: with host memory their next turns find what the device evicted. The bytes
/// are those of the tokens; at a thousandth of the bandwidth steps wait for them.
TEST_F(Cli, CachedPrefixesComeBackFromHostMemory) {
  const std::string config = write("h.json", R"({"model": "llama-3.1-8b", "hardware": "h200-sxm",
      "engine": {"kv_blocks": 500, "prefix_cache": "hash"},
      "workload": {"arrival": {"process": "poisson", "rate": 3}, "lengths": {"prompt": 500, "output": 20},
                   "requests": 300, "sessions": {"turns": "geometric:5", "think": "20s"}}})");
  const auto with = [&](const std::string& bandwidth) {
    return parse_json(orrery({"run", config, "--json", "--set",
                              "/engine/kv_tiers=[{\"name\": \"dram\", \"size\": \"64GB\", \"bandwidth\": \"" +
                                  bandwidth + "\"}]"}).out);
  };
  const Value without = parse_json(orrery({"run", config, "--json"}).out);
  const Value fast = with("25GB/s"), slow = with("25MB/s");
  EXPECT_EQ(without.at("kv").find("tiers"), nullptr);
  EXPECT_GT(fast.at("kv").at("prefix_hit_rate").as_double(), 2 * without.at("kv").at("prefix_hit_rate").as_double());
  const Value& tier = fast.at("kv").at("tiers").items()[0];
  EXPECT_GT(tier.at("hit_tokens").as_int(), 0);
  EXPECT_EQ(tier.at("bytes_in").as_double(), 131072.0 * tier.at("hit_tokens").as_double());
  EXPECT_EQ(tier.at("dropped_tokens").as_int(), 0);
  EXPECT_LT(fast.at("tokens").at("computed").as_int(), without.at("tokens").at("computed").as_int());
  EXPECT_GT(slow.at("stalls").at("swap_s").as_double(), 100 * fast.at("stalls").at("swap_s").as_double());
}

/// Three at once, one at a time: 300, 100 and 200 tokens after each other. First come, first served has answers of 300, 400
/// and 600 token times, shortest first 100, 300 and 600: the mean is 10/13 of it. The times of steps are not quite even.
TEST_F(Cli, AResultIsMeasuredAgainstAQueueThatKnowsLengths) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,10,300\n0,10,100\n0,10,200\n");
  const std::string config = write("c.json", R"({"model": "llama-3.1-8b", "hardware": "h200-sxm",
      "policy": {"batching": {"name": "vllm", "max_running": 1}}, "workload": {"trace": "trace.csv"}, "warmup": 0})");
  const Answer told = orrery({"run", config, "--clairvoyant"});
  EXPECT_THAT(told.out, HasSubstr(" of clairvoyant by mean E2E, "));
  const Value s = parse_json(orrery({"run", config, "--clairvoyant", "--json"}).out);
  const Value& c = s.at("headroom").at("clairvoyant");
  EXPECT_NEAR(c.at("of_e2e").as_double(), 10.0 / 13, 0.01);
  EXPECT_EQ(c.at("of_goodput").as_double(), 1);
  EXPECT_LT(c.at("e2e_mean_s").as_double(), s.at("e2e_s").at("mean").as_double());
  const Value same = parse_json(orrery({"run", config, "--clairvoyant", "--json", "--set",
      "/policy/order={\"name\": \"sjf\", \"prompt_weight\": 1}", "--set", "/policy/predictor=oracle"}).out);
  EXPECT_EQ(same.at("headroom").at("clairvoyant").at("of_e2e").as_double(), 1);
  EXPECT_EQ(parse_json(orrery({"run", config, "--json"}).out).at("headroom").find("clairvoyant"), nullptr);
  EXPECT_EQ(orrery({"run", config, "--clairvoyant", "--executor", "cpu", "--set", "/model=llama-tiny", "--set",
                    "/engine/kv_blocks=100"}).err,
            "orrery: --clairvoyant: compares simulations; a live executor is measured\n");
}

TEST_F(Cli, HostMemoryForPrefixesNeedsAPrefixCacheAndRoom) {
  const std::string tiers = R"("kv_tiers": [{"name": "dram", "size": "1MB", "bandwidth": "25GB/s"}])";
  EXPECT_EQ(error_of("/engine={" + tiers + "}"),
            "orrery: /engine/kv_tiers/0/size: expected room for at least one KV block, 2097152 bytes, got 1000000\n"
            "orrery: /engine/kv_tiers: holds what a prefix cache evicts; /engine/prefix_cache is \"none\"\n");
}

TEST_F(Cli, TheHighestRateIsSearchedForOnDemand) {
  const Answer a = orrery(quick({"--max-rate", "--seeds", "2"}));
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_THAT(a.out, HasSubstr(" | max rate at this SLO "));
  const Value s = parse_json(orrery(quick({"--max-rate", "--seeds", "2", "--json"})).out);
  const Value& m = s.at("headroom").at("max_rate");
  EXPECT_GT(m.at("of_offered").as_double(), 1) << "the quickstart meets its SLO";
  EXPECT_EQ(m.at("by_seed").items().size(), 2u);
  EXPECT_EQ(m.at("interval").items().size(), 2u);
  EXPECT_EQ(orrery(quick({"--max-rate", "--set", "/slo=null"})).err, "orrery: --max-rate: needs limits in /slo\n");
  EXPECT_EQ(orrery(quick({})).out.find("max rate"), std::string::npos);
}

TEST_F(Cli, TheScreenNamesConventionSharesReplicationsAndFiles) {
  const Answer a = orrery(quick({"--out", path("out"), "--metrics", "guidellm", "--seeds", "2"}));
  EXPECT_THAT(a.out, HasSubstr("\n metrics    as guidellm defines them\n"));
  EXPECT_THAT(a.out, HasSubstr("MET (100 %)"));
  EXPECT_THAT(a.out, HasSubstr("| SLO met in 2 of 2 replications\n"));
  EXPECT_THAT(a.out, HasSubstr("\n out        " + path("out") +
                               ": actions.csv config.json requests.csv summary.json timeline.csv\n"));
}

TEST_F(Cli, TenantsOfATraceAreToldApart) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens,tenant\n0,100,10,web\n1,200,20,batch\n2,50,5,web\n");
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"},
    "classes": {"interactive": {"match": {"tenant": ["web"]}, "slo": {"ttft_p99": "1s"}}}})");
  const Value s = parse_json(orrery({"run", config, "--json", "--set", "/warmup=0"}).out);
  const auto& tenants = s.at("tenants").items();
  ASSERT_EQ(tenants.size(), 2u);
  EXPECT_EQ(tenants[0].at("tenant").as_string(), "web");
  EXPECT_EQ(tenants[0].at("requests").as_int(), 2);
  EXPECT_EQ(tenants[0].at("service").as_int(), 100 + 2 * 10 + 50 + 2 * 5);
  EXPECT_EQ(tenants[1].at("service").as_int(), 200 + 2 * 20);
  EXPECT_NE(find_path(s, "by_class.interactive.ttft_s.p99"), nullptr);
  EXPECT_NE(find_path(s, "by_class.other.ttft_s.p99"), nullptr);
  EXPECT_EQ(s.at("slo").at("limits").items()[0].at("class").as_string(), "interactive");
}

TEST_F(Cli, StopDrainFalseLeavesTheRestInFlightAndCountsIt) {
  const Value s = parse_json(orrery(quick({"--json", "--set", "/stop/drain=false"})).out);
  const Value& r = s.at("requests");
  EXPECT_GT(r.at("in_flight").as_int(), 0);
  EXPECT_EQ(r.at("completed").as_int() + r.at("in_flight").as_int(), 300);
}

TEST_F(Cli, APinnedKvSizeIsUsedAndNamed) {
  const Value s = parse_json(orrery(quick({"--json", "--set", "/engine/kv_blocks=1234"})).out);
  EXPECT_EQ(s.at("kv").at("blocks_per_replica").as_int(), 1234);
  EXPECT_THAT(s.at("kv").at("source").as_string(), StartsWith("pinned by /engine/kv_blocks; derived: "));
}

/// The real trace, where it is at hand; RunsATraceWithoutData is its synthetic twin.
TEST_F(Cli, TheAzureExampleRunsOnTheRealTrace) {
  const char* data = std::getenv("ORRERY_DATA");
  const fs::path folder = data_dir();
  if (!fs::exists(folder / "traces/azure_llm_2023_conv.csv")) GTEST_SKIP() << "no Azure trace in " << folder;
  ::setenv("ORRERY_DATA", folder.c_str(), 1);
  const Answer a = orrery({"run", source_dir("/experiments/examples/azure-2023-conv.json"), "--json"});
  if (data == nullptr) ::unsetenv("ORRERY_DATA");
  ASSERT_EQ(a.code, 0) << a.err;
  const Value s = parse_json(a.out);
  EXPECT_EQ(s.at("requests").at("offered").as_int(), 19366);
  EXPECT_EQ(s.at("requests").at("completed").as_int(), 19366);
  EXPECT_EQ(s.at("tokens").at("prompt").as_int(), 22361870);  // sum of ContextTokens of the file
  EXPECT_EQ(s.at("tokens").at("output").as_int(), 4088665);   // sum of GeneratedTokens
}

TEST_F(Cli, RunsATraceWithoutData) {
  std::string text = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  for (int i = 0; i < 60; ++i) {
    text += "2023-11-16 18:00:" + std::string(i < 10 ? "0" : "") + std::to_string(i) + ".5000000," +
            std::to_string(100 + 37 * i) + "," + std::to_string(1 + i) + "\n";
  }
  write("azure.csv", text);
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "azure.csv"}})");
  const Value s = parse_json(orrery({"run", config, "--json"}).out);
  EXPECT_EQ(s.at("requests").at("completed").as_int(), 60);
  EXPECT_EQ(s.at("tokens").at("prompt").as_int(), 60 * 100 + 37 * 1770);
  EXPECT_EQ(s.at("tokens").at("output").as_int(), 60 + 1770);
}

TEST_F(Cli, AnInterruptEndsTheRunAndKeepsWhatThereIs) {
  std::thread later([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::raise(SIGINT);
  });
  const Answer a = orrery({"run", kQuickstart, "--set", "/workload/requests=2000000000", "--set",
                           "/workload/arrival/rate=2000", "--out", path("out"), "--no-rows"});
  later.join();
  EXPECT_EQ(a.code, 1);
  EXPECT_THAT(a.err, HasSubstr("orrery: interrupted; the result is of the part that was simulated\n"));
  EXPECT_THAT(a.out, HasSubstr("INTERRUPTED"));
  EXPECT_TRUE(parse_json_file(path("out/summary.json")).at("interrupted").as_bool());
}

}  // namespace
}  // namespace orrery
