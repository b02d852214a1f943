/// Results: statistics over replications, summary.json, the screen, conventions of other tools, the output folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "experiments/conventions.hpp"
#include "experiments/output.hpp"
#include "experiments/screen.hpp"
#include "experiments/sources.hpp"
#include "experiments/statistics.hpp"
#include "experiments/summary.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

// ---- statistics

TEST(TInterval, IsTheTextbookOne) {
  const double values[] = {10, 12, 14};  // mean 12, s = 2, t(0.975, 2) = 4.3027
  const auto i = t_interval(values);
  ASSERT_TRUE(i);
  EXPECT_NEAR(i->low, 12 - 4.3027 * 2 / std::sqrt(3.0), 1e-3);
  EXPECT_NEAR(i->high, 12 + 4.3027 * 2 / std::sqrt(3.0), 1e-3);
}

TEST(TInterval, NeverHasZeroWidth) {
  const double one[] = {3}, equal[] = {3, 3, 3}, infinite[] = {3, std::numeric_limits<double>::infinity()};
  EXPECT_FALSE(t_interval(one));
  EXPECT_FALSE(t_interval(equal));
  EXPECT_FALSE(t_interval(infinite));
}

TEST(TInterval, QuantilesBeyondTheTableJoinIt) {
  EXPECT_NEAR(student_t975(31), 2.0395, 2e-4);  // NIST tables
  EXPECT_NEAR(student_t975(100), 1.9840, 1e-4);
  EXPECT_NEAR(student_t975(100000), 1.9600, 1e-4);
}

// ---- summary and screen

Replication replication(std::uint64_t seed, double ttft_p99) {
  Replication r;
  r.seed = seed;
  r.outcome.fingerprint = 0xabc + seed;
  r.outcome.events = 10;
  r.outcome.iterations = 100;
  Summary& s = r.outcome.summary;
  s.offered = 1000;
  s.requests[static_cast<std::size_t>(Status::kDone)] = 990;
  s.requests[static_cast<std::size_t>(Status::kRejected)] = 10;
  s.duration_s = 100;
  s.window_s = 80;
  s.warmup_s = 20;
  s.measured = 800;
  s.latencies.ttft = {0.1, 0.05, 0.2, 0.3, ttft_p99, 0.9, 800};
  s.latencies.tpot = {0.01, 0.01, 0.02, 0.02, 0.03, 0.04, 790};
  s.throughput.requests_per_s = 10;
  s.slo.limits = {{{Metric::kTtft, 99, 500ms, -1}, ttft_p99, ttft_p99 <= 0.5}};
  s.slo.met = ttft_p99 <= 0.5;
  s.slo.attainment = 0.985;
  s.busy = 0.6;
  s.max_running = 17;
  s.grade = Grade::kFitted;
  return r;
}

RunResult result(std::initializer_list<double> p99s) {
  RunResult r;
  r.config_path = "run.json";
  r.config_hash = "00112233aabbccdd";
  r.deployment.model = "llama-3.1-8b";
  r.deployment.replicas = 2;
  r.deployment.blocks = 54210;
  r.deployment.not_modelled = {"tokenizer", "network"};
  r.random = {"workload"};
  r.interval_note = "one replication; --seeds K gives them";
  std::uint64_t seed = 5;
  for (const double p99 : p99s) r.replications.push_back(replication(seed++, p99));
  return r;
}

TEST(Summary, HasEveryKeyOfTheContract) {
  const Value s = summary_of(result({0.4}));
  for (const auto* key : {"schema",
                          "config_hash",
                          "seed",
                          "fingerprint",
                          "metrics_convention",
                          "provenance.version",
                          "provenance.command",
                          "provenance.inputs",
                          "provenance.hardware_models",
                          "provenance.plugins",
                          "state",
                          "requests.offered",
                          "requests.completed",
                          "requests.rejected",
                          "requests.failed",
                          "requests.cancelled",
                          "requests.in_flight",
                          "duration_s",
                          "warmup_s",
                          "ttft_s.mean",
                          "ttft_s.p50",
                          "ttft_s.p90",
                          "ttft_s.p95",
                          "ttft_s.p99",
                          "ttft_s.max",
                          "tpot_s.p99",
                          "itl_s",
                          "e2e_s",
                          "queue_s",
                          "throughput.requests_per_s",
                          "throughput.prompt_tokens_per_s",
                          "throughput.cached_prompt_tokens_per_s",
                          "throughput.output_tokens_per_s",
                          "slo.attainment",
                          "slo.goodput_rps",
                          "slo.met",
                          "kv.block_tokens",
                          "kv.blocks_total",
                          "kv.source",
                          "kv.peak_used_fraction",
                          "kv.used",
                          "kv.reserved",
                          "kv.internal",
                          "kv.external",
                          "kv.fragmented_fraction",
                          "kv.preemptions",
                          "kv.swaps",
                          "kv.prefix_hit_rate",
                          "tokens.computed",
                          "tokens.delivered",
                          "tokens.cached",
                          "tokens.recomputed",
                          "tokens.wasted",
                          "tokens.padded",
                          "tokens.drafts",
                          "tokens.filler",
                          "batch.mean_running",
                          "batch.max_running",
                          "utilisation.busy",
                          "energy.joules",
                          "energy.joules_per_output_token",
                          "trust.calibrated_time_fraction",
                          "trust.grade",
                          "trust.validated",
                          "not_modelled",
                          "stalls.kv_map_s",
                          "stalls.swap_s",
                          "stalls.transfer_s",
                          "stalls.host_s",
                          "simulator.wall_s",
                          "simulator.cpu_s",
                          "simulator.events",
                          "simulator.steps",
                          "simulator.iterations",
                          "simulator.peak_rss_bytes"}) {
    EXPECT_NE(find_path(s, key), nullptr) << key;
  }
  EXPECT_EQ(s.at("kv").at("blocks_total").as_int(), 2 * 54210);
}

TEST(Summary, ReplicationsAddCountsAndAverageTheRest) {
  const Value s = summary_of(result({0.40, 0.44, 0.48}));
  EXPECT_EQ(s.at("requests").at("offered").as_int(), 3000);
  EXPECT_NEAR(s.at("ttft_s").at("p99").as_double(), 0.44, 1e-12);
  EXPECT_EQ(s.at("batch").at("max_running").as_int(), 17);
  EXPECT_EQ(s.at("kv").at("blocks_total").as_int(), 2 * 54210);
  EXPECT_EQ(s.at("seeds").items().size(), 3u);
  const auto i = interval_of(s, "ttft_s.p99");
  ASSERT_TRUE(i);
  EXPECT_NEAR(i->low, 0.44 - 4.3027 * 0.04 / std::sqrt(3.0), 1e-4);
  EXPECT_FALSE(interval_of(s, "tpot_s.p99")) << "equal in all replications: no interval of zero width";
}

TEST(Summary, ASingleRunHasNoIntervalsAndSaysWhy) {
  const Value s = summary_of(result({0.4}));
  EXPECT_EQ(find_path(s, "intervals.values"), nullptr);
  EXPECT_EQ(find_path(s, "intervals.none")->as_string(), "one replication; --seeds K gives them");
}

TEST(Summary, APercentileOfMissesIsNullInJsonAndMissed) {
  const Value s = summary_of(result({std::numeric_limits<double>::infinity()}));
  const Value again = parse_json(to_json(s));
  EXPECT_TRUE(again.at("slo").at("limits").items()[0].at("value_s").is_null());
  EXPECT_EQ(missed_slo(s), "SLO missed: ttft_p99 never > 500 ms");
  EXPECT_EQ(missed_slo(again), missed_slo(s));
}

TEST(Screen, EndsWithTheMissedSlo) {
  const std::string text = screen_of(summary_of(result({0.6})));
  EXPECT_THAT(text, HasSubstr("\nSLO missed: ttft_p99 600 ms > 500 ms\n"));
  EXPECT_EQ(text.substr(text.size() - 5), "0 ms\n");
  EXPECT_THAT(screen_of(summary_of(result({0.4}))), Not(HasSubstr("missed")));
}

TEST(Screen, HasTheLinesThatSayHowFarToTrustIt) {
  const std::string text = screen_of(summary_of(result({0.4})));
  for (const auto* line :
       {" engine ", " headroom ", " not modelled tokenizer; network",
        " real-engine check  never compared with a real engine", " intervals  one replication", " trust "}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Screen, PrintsOnlyWhatIsInTheFile) {
  const Value s = summary_of(result({0.40, 0.44, 0.48}));
  EXPECT_EQ(screen_of(parse_json(to_json(s))), screen_of(s));
  EXPECT_THAT(screen_of(s), HasSubstr("3 replications, 3,000 requests in all"));
}

TEST(Screen, NumbersReadLikeAPersonWritesThem) {
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-999), "-999");
  EXPECT_EQ(significant(0.012345, 3), "0.0123");
  EXPECT_EQ(significant(12345, 3), "12,345");
  EXPECT_EQ(significant(99.96, 3), "100.0");
  EXPECT_EQ(seconds_text(0.0482), "48.2 ms");
  EXPECT_EQ(seconds_text(2e-5), "20.0 us");
  EXPECT_EQ(percent(0.99999), "99.99 %") << "not everything is not 100 %";
  EXPECT_EQ(percent(1), "100 %");
  EXPECT_EQ(percent(1.087), "108.7 %") << "more than everything is said as such";
}

// ---- conventions

Row done_row(std::uint64_t n, Duration arrival, Duration ttft, Duration e2e, int output) {
  Row r;
  r.number = n;
  r.arrival = Time{} + arrival;
  r.first_schedule = r.arrival;
  r.first_token = r.arrival + ttft;
  r.finish = r.arrival + e2e;
  r.output = Tokens32{output};
  return r;
}

TEST(Conventions, GuidellmCountsTheFirstTokenInTpot) {
  const auto c = make_convention("guidellm");
  c->row(done_row(0, 0s, 100ms, 1000ms, 10));
  Summary s;
  s.window_s = 1;
  s.slo.limits = {{{Metric::kTpot, 99, 99ms, -1}, 0, true}};
  c->apply(s);
  EXPECT_NEAR(s.latencies.tpot.mean, 0.1, 1e-12);  // 1000 ms / 10
  EXPECT_NEAR(s.latencies.itl.mean, 0.1, 1e-12);   // 900 ms / 9
  EXPECT_FALSE(s.slo.met);
  EXPECT_EQ(s.slo.attainment, 0);
}

TEST(Conventions, OthersLeaveOutWhatTheyDoNotHave) {
  for (const auto* name : {"aiperf", "mlperf"}) {
    const auto c = make_convention(name);
    c->row(done_row(0, 0s, 100ms, 1000ms, 10));
    c->row(done_row(1, 0s, 100ms, 100ms, 1));
    Summary s;
    c->apply(s);
    const bool aiperf = std::string_view(name) == "aiperf";
    EXPECT_EQ(s.latencies.tpot.count, aiperf ? 0 : 1) << name;
    EXPECT_EQ(s.latencies.itl.count, aiperf ? 1 : 0) << name;
  }
  EXPECT_EQ(make_convention("vllm"), nullptr);
}

TEST(Conventions, RequestsOfTheWarmUpDoNotCountAndMissesDo) {
  const auto c = make_convention("guidellm");
  c->row(done_row(0, 1s, 100ms, 1000ms, 10));  // before the warm-up ends
  c->row(done_row(1, 20s, 100ms, 500ms, 10));
  Row rejected;
  rejected.arrival = Time{} + 21s;
  rejected.status = Status::kRejected;
  c->row(rejected);
  Summary s;
  s.warmup_s = 10;
  s.window_s = 10;
  s.slo.limits = {{{Metric::kTtft, 99, 1s, -1}, 0, true}};
  c->apply(s);
  EXPECT_EQ(s.latencies.tpot.count, 1);
  EXPECT_EQ(s.slo.attainment, 0.5);
  EXPECT_TRUE(std::isinf(s.slo.limits[0].value_s));
}

// ---- sources

class Fixed final : public RequestSource {
 public:
  explicit Fixed(std::vector<Request> list) : list_(std::move(list)) {}
  Time peek() const override { return next_ < list_.size() ? list_[next_].arrival : kNever; }
  void pop(Request& out) override { out = list_[next_++]; }
  std::int64_t size_hint() const override { return static_cast<std::int64_t>(list_.size() - next_); }

 private:
  std::vector<Request> list_;
  std::size_t next_ = 0;
};

std::unique_ptr<RequestSource> three() {
  std::vector<Request> list(3);
  for (std::uint16_t i = 0; i < 3; ++i) {
    list[i].number = i;
    list[i].arrival = Time{} + std::chrono::seconds{i};
    list[i].tenant = i;
  }
  return std::make_unique<Fixed>(std::move(list));
}

std::vector<std::uint64_t> numbers(RequestSource& source) {
  std::vector<std::uint64_t> out;
  for (Request r; source.peek() != kNever;) {
    source.pop(r);
    out.push_back(r.number * 10 + r.request_class);
  }
  return out;
}

TEST(Sources, StopLimitsArrivalsByNumberAndTime) {
  StopConfig stop;
  EXPECT_THAT(numbers(*limit_source(three(), stop)), ElementsAre(0, 10, 20));
  stop.requests = 2;
  EXPECT_EQ(limit_source(three(), stop)->size_hint(), 2);
  EXPECT_THAT(numbers(*limit_source(three(), stop)), ElementsAre(0, 10));
  stop.after = 1s;
  EXPECT_THAT(numbers(*limit_source(three(), stop)), ElementsAre(0)) << "arrivals before that time";
}

TEST(Sources, TheFirstMatchingClassCountsAndOthersAreLast) {
  ClassConfig web, any_b;
  web.tenants = {"a", "none such"};
  any_b.tenants = {"b"};
  ResolvedInfo names;
  names.tenants = {"a", "b", "c"};
  EXPECT_THAT(numbers(*classify_source(three(), {web, any_b}, names)), ElementsAre(0, 11, 22));
}

// ---- the output folder

class OutputFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::temp_directory_path() /
            ("orrery-output-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(base_);
    fs::create_directories(base_);
    path_ = (base_ / "out").string();
  }
  void TearDown() override { fs::remove_all(base_); }
  std::string error(bool force) const {
    try {
      OutputFolder out(path_, force);
    } catch (const ConfigError& e) { return e.what(); }
    return "no error";
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(base_), fs::directory_iterator()));
  }
  fs::path base_;
  std::string path_;
};

TEST_F(OutputFolderTest, AppearsWholeOrNotAtAll) {
  {
    OutputFolder out(path_, false);
    out.write("summary.json", "{}");
    EXPECT_FALSE(fs::exists(path_));
  }
  EXPECT_EQ(entries(), 0u) << "nothing is left of a run that failed";
  OutputFolder out(path_, false);
  out.write("summary.json", "{}");
  ActionsCsv(out.file("actions.csv"), {}).close();
  out.commit();
  EXPECT_TRUE(fs::exists(base_ / "out" / "summary.json"));
  EXPECT_TRUE(fs::exists(base_ / "out" / "actions.csv"));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFolderTest, AnActionHasAnEstimateWhereSomebodyKnowsOne) {
  OutputFolder out(path_, false);
  ActionsCsv actions(out.file("actions.csv"), {"chat", "code"});
  actions.action({Time{} + 2s, "engine", "copy", StationId{0}, 7, 1, Duration{1500us}});
  actions.action({Time{} + 3s, "engine", "land", StationId{1}, 7, 0});
  actions.close();
  out.commit();
  std::ifstream in(base_ / "out" / "actions.csv");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
            "t_s,controller,action,pool,replica,request,value,estimate_s\n"
            "2,engine,copy,chat,0,7,1,0.0015\n"
            "3,engine,land,code,1,7,0,\n");
}

TEST_F(OutputFolderTest, AnEarlierResultIsReplacedOnlyByForce) {
  {
    OutputFolder out(path_, false);
    out.write("summary.json", "old");
    out.commit();
  }
  EXPECT_EQ(error(false), "--out " + path_ + ": exists already; --force replaces it");
  OutputFolder out(path_, true);
  out.write("config.json", "new");
  out.commit();
  EXPECT_FALSE(fs::exists(base_ / "out" / "summary.json"));
  EXPECT_TRUE(fs::exists(base_ / "out" / "config.json"));
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputFolderTest, ForceReplacesResultsAndNothingElse) {
  fs::create_directories(path_);
  std::ofstream(base_ / "out" / "thesis.tex") << "do not delete";
  EXPECT_EQ(error(true),
            "--out " + path_ + ": is not an earlier output (no summary.json in it); --force does not replace it");
}

TEST_F(OutputFolderTest, WhereItCannotBeMadeIsSaid) {
  std::ofstream(base_ / "file") << "x";
  path_ = (base_ / "file" / "out").string();
  EXPECT_THAT(error(false), HasSubstr("cannot make this folder: Not a directory"));
}

}  // namespace
}  // namespace orrery
