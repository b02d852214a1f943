/// The command line as a user meets it: verbs, exit codes, files, and the exact message of every mistake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include "calibrate/live/cuda_device.hpp"
#include "experiments/cli/cli.hpp"
#include "experiments/summary.hpp"
#include "sim/config/value.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

namespace fs = std::filesystem;

struct Answer {
  int code;
  std::string out, err;
};

Answer orrery(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = run_cli(arguments, out, err);
  return {code, out.str(), err.str()};
}

const std::string kQuickstart = source_dir("/experiments/examples/quickstart.json");

/// The quickstart, small enough for a test.
std::vector<std::string> quick(std::vector<std::string> more = {}) {
  std::vector<std::string> all{"run", kQuickstart, "--set", "/workload/requests=300"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

class Cli : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = fs::temp_directory_path() / ("orrery-cli-" + std::to_string(::getpid()) + "-" + name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return path(name);
  }
  /// What is told about a config that is right but for one member.
  std::string error_of(const std::string& member) const {
    const std::string config = write("bad.json", R"({"model": "llama-3.1-8b", "hardware": "h200-sxm",
      "workload": {"arrival": {"process": "poisson", "rate": 5}, "lengths": {"prompt": 100, "output": 10},
          "requests": 20}})");
    const Answer a = orrery({"run", config, "--set", member});
    EXPECT_EQ(a.code, 1) << member;
    EXPECT_EQ(a.out, "") << member;
    return a.err;
  }
  std::string trace_error(const std::string& text) const {
    write("trace.csv", text);
    const std::string config = write("t.json", R"({"model": "llama-3.1-8b", "workload": {"trace": "trace.csv"}})");
    const Answer a = orrery({"run", config});
    EXPECT_EQ(a.code, 1);
    std::string err = a.err;
    const std::string place = path("trace.csv");
    for (std::size_t at; (at = err.find(place)) != std::string::npos;) err.replace(at, place.size(), "trace.csv");
    return err;
  }
  static std::string read(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  fs::path folder_;
};

// ---- runs

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

TEST_F(Cli, TheScreenNamesConventionSharesReplicationsAndFiles) {
  const Answer a = orrery(quick({"--out", path("out"), "--metrics", "guidellm", "--seeds", "2"}));
  EXPECT_THAT(a.out, HasSubstr("\n metrics    as guidellm defines them\n"));
  EXPECT_THAT(a.out, HasSubstr("MET (100 %)"));
  EXPECT_THAT(a.out, HasSubstr("| SLO met in 2 of 2 replications\n"));
  EXPECT_THAT(a.out, HasSubstr("\n out        " + path("out") +
                               ": actions.csv config.json requests.csv summary.json timeline.csv\n"));
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

// ---- bad input (each message is a promise)

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
            "orrery: /engine/chunked_prefill: the batching policy \"vllm-v1\" has no such setting\n");
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
  EXPECT_EQ(orrery({"run"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--sed", "3"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--seeds", "0"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--metrics", "mine"}).code, 1);
  EXPECT_EQ(orrery({"run", kQuickstart, "--set", "seed=1"}).err,
            "orrery: --set seed=1: expected /json/pointer=VALUE\n");
}

TEST_F(Cli, ALimitOnAMetricThatAConventionDoesNotHaveIsRefused) {
  EXPECT_EQ(orrery(quick({"--metrics", "aiperf"})).err, "orrery: /slo/tpot_p99: --metrics aiperf has no such metric\n");
  EXPECT_EQ(orrery(quick({"--metrics", "mlperf", "--quiet"})).code, 0);
}

TEST_F(Cli, APlugInNeedsItsPath) {
  EXPECT_EQ(error_of("/plugins=[\"mine\"]"), "orrery: /plugins/0: give its path: --plugin mine=PATH\n");
  EXPECT_THAT(orrery({"run", kQuickstart, "--plugin", "mine=/no/such.so"}).err,
              StartsWith("orrery: --plugin mine=/no/such.so: "));
}

// ---- calibrate

/// Killed with -9 in the middle, run again, and its hardware model used at once.
TEST_F(Cli, CalibrateGoesOnAfterAKillAndItsModelRuns) {
  const std::string hw = path("HW.json"), samples = path("HW.samples.jsonl");
  const auto lines = [&] {
    std::ifstream in(samples);
    return std::count(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>(), '\n');
  };
  const pid_t child = ::fork();
  if (child == 0) {
    orrery({"calibrate", "--quick", "--quiet", "--out", hw});
    ::_exit(0);
  }
  while (lines() < 100 && ::waitpid(child, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_FALSE(fs::exists(hw));
  const auto before = lines();
  ASSERT_GE(before, 100);
  const Answer a = orrery({"calibrate", "--quick", "--out", hw});
  EXPECT_TRUE(a.code == 0 || a.code == 2) << a.err;                  // 2: the machine's speed moved; its file says so
  EXPECT_THAT(a.err, HasSubstr("samples are there already"));
  EXPECT_THAT(a.out, AllOf(HasSubstr("step law, random"), HasSubstr("wrote ")));
  std::set<std::pair<std::int64_t, std::int64_t>> once;
  std::ifstream in(samples);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const Value v = parse_json(line);
    EXPECT_TRUE(once.insert({v.at("point").as_int(), v.at("visit").as_int()}).second) << line;
  }
  const std::string config =
      write("run.json", R"({"model": "llama-tiny", "hardware": "HW.json", "engine": {"kv_blocks": 500},
    "workload": {"arrival": {"process": "poisson", "rate": "10/s"}, "lengths": {"prompt": 60, "output": 20},
        "requests": 50},
    "policy": {"batching": {"name": "sarathi", "token_budget": 128, "max_running": 24}}})");
  const Answer sum = orrery({"run", config, "--json"});
  const Answer steps = orrery({"run", config, "--json", "--set", R"(/hardware={"name": "HW.json", "cost": "steps"})"});
  ASSERT_EQ(sum.code, 0) << sum.err;
  ASSERT_EQ(steps.code, 0) << steps.err;
  for (const Answer* r : {&sum, &steps}) EXPECT_EQ(parse_json(r->out).at("trust").at("grade").as_string(), "measured");
  EXPECT_NEAR(parse_json(sum.out).at("utilisation").at("busy").as_double() /
                  parse_json(steps.out).at("utilisation").at("busy").as_double(),
              1, 0.3);
  EXPECT_THAT(orrery({"run", config, "--set", R"(/hardware={"name": "h200-sxm", "cost": "steps"})"}).err,
              HasSubstr("has no measured steps of model \"llama-tiny\""));
}

/// A mixture of experts is calibrated as itself, and its hardware model prices it, by operators and by whole steps.
TEST_F(Cli, AMixtureOfExpertsIsCalibratedAndRuns) {
  const Answer made =
      orrery({"calibrate", "--quick", "--model", "mixtral-tiny", "--out", path("MoE.json")});
  ASSERT_TRUE(made.code == 0 || made.code == 2) << made.err;         // 2: the machine's speed moved
  EXPECT_THAT(made.out, HasSubstr("\nexperts  "));
  const std::string config =
      write("run.json", R"({"model": "mixtral-tiny", "hardware": "MoE.json", "engine": {"kv_blocks": 500},
    "workload": {"arrival": {"process": "poisson", "rate": "10/s"}, "lengths": {"prompt": 60, "output": 20},
        "requests": 50},
    "policy": {"batching": {"name": "sarathi", "token_budget": 128, "max_running": 24}}})");
  const auto busy = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all{"run", config, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    const Answer a = orrery(all);
    EXPECT_EQ(a.code, 0) << a.err;
    return parse_json(a.out).at("utilisation").at("busy").as_double();
  };
  const double sum = busy({}), steps = busy({"--set", R"(/hardware={"name": "MoE.json", "cost": "steps"})"});
  EXPECT_NEAR(sum / steps, 1, 0.4);
  EXPECT_THAT(orrery({"run", config, "--set", R"(/hardware="h200-sxm")"}).err,
              HasSubstr("/model: model \"mixtral-tiny\": mixture of experts: "
                        "not available in this version on hardware"));
  EXPECT_THAT(orrery({"run", config, "--set", R"(/model="mixtral-8x7b")"}).err, HasSubstr("does not fit on MoE"));
}

/// Whole-model coefficients in place of the operators.
TEST_F(Cli, ACostProfileIsNamedBesideTheHardware) {
  const std::string config =
      write("run.json", R"({"model": "opt-13b", "hardware": {"name": "a100-80g", "cost": "distserve"},
    "cluster": {"tp": 2}, "workload": {"arrival": {"process": "poisson", "rate": "2/s"},
    "lengths": {"prompt": 512, "output": 16}, "requests": 50}})");
  const Answer a = orrery({"run", config, "--json"});
  ASSERT_EQ(a.code, 0) << a.err;
  const Value v = parse_json(a.out);
  EXPECT_EQ(v.at("trust").at("grade").as_string(), "fitted");
  // A prompt alone takes 14.74 + 0.06858 * 512 + 2.45e-6 * 512^2 + 1 ms, and nothing is faster.
  EXPECT_GT(v.at("ttft_s").at("p50").as_double(), 0.0514);
  EXPECT_THAT(
      orrery({"run", config, "--set", "/cluster/tp=8"}).err,
      HasSubstr("/hardware/cost: cost profile \"distserve\" has no opt-13b on a100-80g with tp 8, pp 1; it has"));
}

TEST_F(Cli, CalibrateSaysWhatItCannotDo) {
  if (const std::string missing = cuda_missing(); !missing.empty()) {
    EXPECT_EQ(orrery({"calibrate", "--backend", "cuda", "--out", path("x.json")}).err,
              "orrery: backend cuda: " + missing + "; backend cpu runs here\n");
  }
  EXPECT_EQ(orrery({"calibrate", "--from", "log.csv", "--base", "h100-sxm", "--out", path("x.json")}).err,
            "orrery: --from: not available in this version\n");
  EXPECT_EQ(orrery({"calibrate"}).err, "orrery: --out: give the file to write, HW.json\n");
  EXPECT_EQ(orrery({"calibrate", "--out", "hw"}).err, "orrery: --out: expected a name that ends in .json\n");
}

// ---- the other verbs

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
