/// The command line: the folder of --out, and runs repeated from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "experiments/summary.hpp"
#include "tests/experiments/cli_fixture.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST_F(Cli, OutHasAllFilesAndTheSummaryOfTheScreen) {
  const Answer a = orrery(quick({"--out", path("out"), "--json"}));
  EXPECT_EQ(a.code, 0) << a.err;
  for (const auto* name : {"config.json", "summary.json", "requests.csv", "timeline.csv", "actions.csv"}) {
    EXPECT_TRUE(fs::exists(folder_ / "out" / name)) << name;
  }
  EXPECT_EQ(read(folder_ / "out" / "summary.json"), a.out);
  const std::string rows = read(folder_ / "out" / "requests.csv");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 301);
  EXPECT_THAT(
      rows,
      StartsWith("id,arrival_s,tenant,class,model,session,prompt_tokens,cached_tokens,output_tokens,queue_s,ttft_s,"
                 "tpot_s,e2e_s,finish_s,pool,replica,decode_replica,decode_queue_s,transfer_s,load_s,migrations,"
                 "preemptions,retries,qoe,status,joules,usd,grams\n"));
  EXPECT_THAT(
      read(folder_ / "out" / "timeline.csv"),
      StartsWith(
          "t_s,arrivals,queued,running,kv_used_fraction,prompt_tokens_per_s,output_tokens_per_s,ttft_p50,ttft_p99,"
          "power_w,replicas,usd\n"));
  EXPECT_EQ(read(folder_ / "out" / "actions.csv"), "t_s,controller,action,pool,replica,request,value,estimate_s\n");
}

double number(const std::string& summary, const char* path) {
  return find_path(parse_json(summary), path)->as_double();
}

/// A plain run charges nobody unless it is told to.
TEST_F(Cli, ChargesAreThereForTheAsking) {
  ASSERT_EQ(orrery(quick({"--out", path("out"), "--quiet"})).code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "replicas.csv"));
  EXPECT_THAT(read(folder_ / "out" / "requests.csv"), HasSubstr(",done,,,\n"));
  const Answer a = orrery(quick({"--set", "/charges=true", "--out", path("out"), "--force", "--json"}));
  ASSERT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(fs::exists(folder_ / "out" / "replicas.csv"));
  const Value charged = *find_path(parse_json(a.out), "charged");
  EXPECT_GT(charged.at("joules").as_double(), 0);
  EXPECT_GT(charged.at("usd").as_double(), 0);
  EXPECT_EQ(charged.find("grams"), nullptr);
  EXPECT_THAT(read(folder_ / "out" / "requests.csv"), Not(HasSubstr(",done,,,\n")));
}

/// The sum of a column of a table of the folder `out`.
double column_sum(const std::string& table, const std::string& column) {
  std::istringstream in(table);
  std::string line;
  std::getline(in, line);
  const auto fields = [](const std::string& text) {
    std::vector<std::string> out;
    std::istringstream words(text);
    for (std::string field; std::getline(words, field, ',');) out.push_back(field);
    return out;
  };
  const std::vector<std::string> names = fields(line);
  const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), column) - names.begin());
  double sum = 0;
  while (std::getline(in, line))
    if (const std::vector<std::string> row = fields(line); at < row.size() && !row[at].empty())
      sum += std::stod(row[at]);
  return sum;
}

/// Nodes that come and go are paid for while they are there, and a price that changes when it does. The last window
/// counts whole.
TEST_F(Cli, TheTimelineCostsWhatTheRunCosts) {
  const std::string nodes = R"("policy": {"cluster": "shortest-queue"},
      "signals": {"capacity": {"rows": ["0,add,3", "20,notice,1", "40,add,2"], "grace": "5s", "usd_per_hour": 36}})";
  write("price.csv", "t_s,usd\n0,3.6\n17,36\n31,0\n40,7.2\n");
  const std::string price = R"("cluster": {"replicas": 4}, "signals": {"price": "price.csv"})";
  for (const std::string& more : {nodes, price}) {
    const std::string config = write("run.json", R"({"model": "llama-3.1-8b", "hardware": "h200-sxm", )" + more + R"(,
      "workload": {"arrival": {"process": "poisson", "rate": 5}, "lengths": {"prompt": 100, "output": 10}, "requests": 300}})");
    const Answer a = orrery({"run", config, "--out", path("out"), "--force", "--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    const double usd = number(a.out, "cost.usd");
    EXPECT_GT(usd, 0.1);
    EXPECT_NEAR(column_sum(read(folder_ / "out" / "timeline.csv"), "usd"), usd, 4 * 36.0 / 3600) << more;
    const double requests = column_sum(read(folder_ / "out" / "requests.csv"), "usd");
    EXPECT_NEAR(requests, number(a.out, "charged.usd"), 1e-6);
    EXPECT_LE(requests, usd);
    EXPECT_NEAR(column_sum(read(folder_ / "out" / "replicas.csv"), "step_usd"), requests, 1e-6);
    EXPECT_NEAR(column_sum(read(folder_ / "out" / "replicas.csv"), "joules"), number(a.out, "energy.joules"), 0.01);
  }
}

TEST_F(Cli, TheTimelineIsATraceOfTheRequestsInIt) {
  write("trace.csv", "arrival_s,prompt_tokens,output_tokens\n0,100,10\n50,200,20\n100,50,5\n");
  const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
  ASSERT_EQ(orrery({"run", config, "--quiet", "--out", path("out"), "--timeline", "40s..60s"}).code, 0);
  const Value trace = parse_json_file(path("out/timeline.perfetto-trace"));
  const auto& events = trace.at("traceEvents").items();
  ASSERT_EQ(events.size(), 5u) << "a name, and begin and end of prefill and decode of request 1";
  EXPECT_EQ(events[1].at("name").as_string(), "prefill");
  EXPECT_EQ(events[1].at("id").as_int(), 1);
  EXPECT_EQ(events[1].at("ts").as_double(), 50e6);
  EXPECT_EQ(events[4].at("name").as_string(), "decode");
  EXPECT_EQ(orrery({"run", config, "--timeline", "40s..60s"}).err,
            "orrery: --timeline: needs --out DIR for its file\n");
  EXPECT_EQ(orrery({"run", config, "--out", path("out2"), "--timeline", "60s..40s"}).err,
            "orrery: --timeline 60s..40s: expected A..B, for instance 60s..90s\n");
}

TEST_F(Cli, AnOutputThatExistsIsKeptWithoutForce) {
  ASSERT_EQ(orrery(quick({"--out", path("out"), "--quiet"})).code, 0);
  const Answer again = orrery(quick({"--out", path("out")}));
  EXPECT_EQ(again.code, 1);
  EXPECT_EQ(again.err, "orrery: --out " + path("out") + ": exists already; --force replaces it\n");
  EXPECT_EQ(orrery(quick({"--out", path("out"), "--force", "--no-rows", "--quiet"})).code, 0);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "requests.csv"));
}

TEST_F(Cli, RerunRepeatsAResultFromItsFolder) {
  ASSERT_EQ(orrery(quick({"--out", path("out"), "--seeds", "2", "--quiet"})).code, 0);
  const Answer a = orrery({"rerun", path("out"), "--quiet"});
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(a.out, "");
  EXPECT_THAT(orrery({"rerun", path("out")}).out, HasSubstr(", the same\n"));
  std::string summary = read(folder_ / "out" / "summary.json");
  const std::size_t at = summary.find("\"fingerprint\": \"") + 16;
  summary.replace(at, 16, "0123456789abcdef");
  write("out/summary.json", summary);
  const Answer changed = orrery({"rerun", path("out"), "--quiet"});
  EXPECT_EQ(changed.code, 1);
  EXPECT_THAT(changed.err, HasSubstr("differs from 0123456789abcdef"));
  const Answer none = orrery({"rerun", path("none")});
  EXPECT_EQ(none.err, "orrery: " + path("none") + "/summary.json: cannot open this file\n");
}

/// Events and rules work on one pool that the config does not name; its config.json must not name it either.
TEST_F(Cli, EveryExampleRunsAgainFromItsFolder) {
  for (const auto* name : {"operations", "retry-storm", "spot", "disaggregated", "quickstart"}) {
    const std::string config = source_dir("/experiments/examples/") + name + ".json", out = path(name);
    EXPECT_NE(orrery({"run", config, "--set", "/workload/requests=2000", "--out", out, "--quiet"}).code, 1) << name;
    const Answer again = orrery({"rerun", out, "--quiet"});
    EXPECT_NE(again.code, 1) << name << ": " << again.err;
  }
}

TEST_F(Cli, ARerunOfAMissedSloSaysSoLastWithExitCode2) {
  ASSERT_EQ(orrery(quick({"--out", path("out"), "--quiet", "--set", "/slo/ttft_p99=1us"})).code, 2);
  const Answer a = orrery({"rerun", path("out")});
  EXPECT_EQ(a.code, 2);
  EXPECT_THAT(a.out, HasSubstr(", the same\nSLO missed: ttft_p99"));
}

/// What a folder holds is enough to repeat any of the shipped examples, whatever mechanisms it uses.
TEST_F(Cli, EveryExampleCanBeRepeatedFromItsResult) {
  const std::set<std::string> apart{"azure-2023-conv", "engine-cpu", "validate-cpu",
                                    "validate-h100", "validate-h200"};  // real data, time
  int tried = 0;
  for (const auto& file : fs::directory_iterator(source_dir("/experiments/examples"))) {
    const std::string name = file.path().stem();
    if (file.path().extension() != ".json" || apart.contains(name)) continue;
    const Answer run = orrery({"run", file.path(), "--quiet", "--no-rows", "--out", path(name), "--set",
                               "/stop/requests=200", "--set", "/stop/drain=false"});
    ASSERT_THAT(run.code, testing::AnyOf(0, 2)) << name << ": " << run.err;   // 2: an SLO was missed
    const Answer again = orrery({"rerun", path(name)});
    EXPECT_EQ(again.code, run.code) << name << ": " << again.err;
    EXPECT_THAT(again.out, HasSubstr(", the same\n")) << name;
    ++tried;
  }
  EXPECT_GE(tried, 8);
}

TEST_F(Cli, ConfigJsonSaysEverythingThatTheRunUsed) {
  ASSERT_EQ(orrery(quick({"--out", path("out"), "--seed", "9", "--quiet"})).code, 0);
  const Value config = parse_json_file(path("out/config.json"));
  EXPECT_EQ(config.at("seed").as_int(), 9);
  EXPECT_EQ(config.at("workload").at("requests").as_int(), 300);
  EXPECT_EQ(config.at("policy").at("batching").at("token_budget").as_int(), 512);
  EXPECT_EQ(config.at("policy").at("kv").at("name").as_string(), "paged");
  EXPECT_EQ(config.at("model").at("dtype").as_string(), "bf16");
}

}  // namespace
}  // namespace orrery
