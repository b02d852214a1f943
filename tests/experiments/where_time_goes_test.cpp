/// What a result says of where time goes: the shares add up, and agree with the rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "experiments/assembly.hpp"
#include "experiments/document.hpp"
#include "experiments/max_rate.hpp"
#include "sim/metrics/recorder.hpp"

namespace orrery {
namespace {

Assembly assembly(const std::string& text) {
  Document d;
  d.value = parse_json(text);
  d.folder = ".";
  d.files = {"test.json"};
  return assemble(std::move(d));
}

class Rows final : public RowSink {
 public:
  void row(const Row& r) override { all.push_back(r); }
  std::vector<Row> all;
};

double sum(const TimeShares& s) {
  return s.idle + s.host + s.network + s.swap + s.memory + s.compute + s.unknown + s.lost;
}

/// 60 KV blocks and chunks that take blocks as they come: prompts are preempted before their first token.
const char* const kTight = R"({"model": "llama-3.1-8b", "workload": {"arrival": {"rate": 8}, "requests": 400,
  "lengths": {"prompt": "uniform:100..700", "output": "uniform:1..200"}}, "engine": {"kv_blocks": 60}, "warmup": 0,
  "policy": {"batching": {"name": "vllm-v1", "token_budget": 64}}})";

TEST(WhereTimeGoes, PartsOfSlowFirstTokensAreThoseOfTheirRows) {
  const Assembly a = assembly(kTight);
  Rows rows;
  Watch watch;
  watch.rows = &rows;
  const Replication r = replicate(a, 1, watch);
  const SlowFirstTokens& slow = r.outcome.summary.latencies.slow;
  double n = 0, total = 0, queue = 0, set_back = 0;
  int later = 0;
  for (const Row& row : rows.all) {
    later += row.set_back > Duration{};
    EXPECT_LE(row.queue() + row.set_back, row.ttft());
    const double ttft = to_seconds(row.ttft());
    if (ttft < slow.low || ttft >= slow.high) continue;
    ++n;
    total += ttft;
    queue += to_seconds(row.queue());
    set_back += to_seconds(row.set_back);
  }
  EXPECT_GT(later, 5) << "or nothing was preempted before its first token";
  EXPECT_EQ(static_cast<double>(slow.count), n);
  EXPECT_NEAR(slow.mean, total / n, 1e-9);
  EXPECT_NEAR(slow.queue, queue / n, 1e-9);
  EXPECT_NEAR(slow.set_back, set_back / n, 1e-9);
  EXPECT_NEAR(slow.mean, slow.queue + slow.set_back + slow.prefill, 1e-9);
  EXPECT_LE(slow.low, r.outcome.summary.latencies.ttft.p99 * 1.001);
  EXPECT_GE(slow.high, r.outcome.summary.latencies.ttft.p99 * 0.999);
}

TEST(WhereTimeGoes, RetriesAreNotTheQueueOfTheLastAttempt) {
  const Assembly a = assembly(R"({"model": "llama-3.1-8b", "workload": {"arrival": {"rate": 60}, "requests": 600,
    "lengths": {"prompt": 2000, "output": 20}}, "policy": {"batching": {"name": "orca", "max_running": 4}}, "warmup": 0,
    "classes": {"chat": {"match": {}, "timeout": "2s", "retry": {"max": 9, "backoff": "1s"}}}})");
  Rows rows;
  Watch watch;
  watch.rows = &rows;
  const Replication r = replicate(a, 1, watch);
  int again = 0;
  for (const Row& row : rows.all) {
    if (row.status != Status::kDone) continue;
    again += row.retries > 0;
    EXPECT_GE(to_seconds(row.retried), 3.0 * (row.retries > 0)) << "2 s of patience, 1 s until it tries again";
    EXPECT_LE(row.queue() - row.retried, 2s);
  }
  EXPECT_GT(again, 20);
  EXPECT_GT(r.outcome.summary.latencies.slow.retries, 3);
  EXPECT_LE(r.outcome.summary.latencies.slow.queue, 2);
}

TEST(WhereTimeGoes, SharesAddUpAndAreThoseOfSteppedRuns) {
  for (const char* cluster : {R"("replicas": 2)", R"("tp": 2)", R"("tp": 2, "pp": 2)"}) {
    const Assembly a = assembly(std::string(R"({"model": "llama-3.1-8b", "hardware": "h100-sxm", "cluster": {)") +
                                cluster + R"(}, "workload": {"arrival": {"rate": 6}, "requests": 500, "lengths":
      "azure-conv-2023"}, "policy": {"batching": "sarathi"}})");
    Watch stepped;
    stepped.fast_forward = false;
    const Summary fast = replicate(a, 1, {}).outcome.summary, slow = replicate(a, 1, stepped).outcome.summary;
    EXPECT_NEAR(sum(fast.time), 1, 1e-12) << cluster;
    EXPECT_NEAR(1 - fast.time.idle, fast.busy, 1e-12) << cluster;
    EXPECT_EQ(fast.time.network > 0, std::string(cluster).find("tp") != std::string::npos);
    EXPECT_GT(fast.time.roofline, 0.2);
    EXPECT_LT(fast.time.roofline, 1);
    for (const auto field : {&TimeShares::host, &TimeShares::network, &TimeShares::memory, &TimeShares::compute,
                             &TimeShares::roofline, &TimeShares::decode_memory, &TimeShares::prompt_memory})
      EXPECT_EQ(fast.time.*field, slow.time.*field) << cluster;
    EXPECT_EQ(fast.time.decode_memory, 1) << "8B on few sequences: decoding waits for memory";
    EXPECT_LT(fast.time.prompt_memory, 0.9);
  }
}

TEST(WhereTimeGoes, SwappingIsToldAndEqualsTheStall) {
  const Assembly a = assembly(R"({"model": "llama-3.1-8b", "workload": {"arrival": {"rate": 30}, "requests": 500,
    "lengths": {"prompt": 800, "output": 200}}, "engine": {"kv_blocks": 500},
    "policy": {"batching": "vllm", "kv": {"name": "paged", "preempt": "swap"}}})");
  const Summary s = replicate(a, 1, {}).outcome.summary;
  EXPECT_GT(s.kv.swaps, 10);
  EXPECT_GT(s.swap_s, 0);
  EXPECT_NEAR(sum(s.time), 1, 1e-12);
  EXPECT_NEAR(s.time.swap * s.duration_s, s.swap_s, 1e-9);
}

/// 1,250 replicas for a day overflow 64 bits of picoseconds; sums over replicas must not.
TEST(WhereTimeGoes, SumsOverReplicasHoldADayOfAFleet) {
  RecorderConfig config;
  config.stations = 20;
  config.warmup = Duration{};
  Recorder r(config);
  StepRun run;
  run.grade = Grade::kFitted;
  run.in_range = false;
  run.first = 600'000s;
  run.host = 600'000s;
  for (std::int32_t i = 0; i < 20; ++i)
    r.on_step(StationId{i}, 0, Time{}, Time{} + run.first, 1, {}, {}, run);
  const Summary s = r.finish({.end = Time{} + run.first});
  EXPECT_EQ(s.grade, Grade::kFitted);
  EXPECT_EQ(s.calibrated_time_fraction, 0);
  EXPECT_DOUBLE_EQ(s.time_by_grade_s[static_cast<std::size_t>(Grade::kFitted)], 12e6);
  EXPECT_DOUBLE_EQ(s.host_s, 12e6);
}

// ---- the highest rate

const std::string kOneAtATime = R"({"model": "llama-3.1-8b", "workload": {"arrival": {"process": "constant", "rate": 1},
  "requests": 300, "lengths": {"prompt": 500, "output": 40}}, "policy": {"batching": {"name": "orca", "max_running": 1}},
  "slo": {"queue_p50": "1ms"}})";

/// One call at a time, equal ones at equal gaps: nobody waits as long as a gap is no shorter than a service.
TEST(MaxRate, IsTheServiceRateOfADeterministicQueue) {
  const Assembly a = assembly(kOneAtATime);
  const double service = replicate(a, 1, {}).outcome.summary.latencies.e2e.mean;
  const MaxRate m = find_max_rate(a, {1}, {}, "vllm");
  ASSERT_EQ(m.per_s.size(), 1u);
  EXPECT_LE(m.per_s[0], 1.0001 / service);
  EXPECT_GE(m.per_s[0], (1 - kMaxRateTolerance) / service * 0.999);
  EXPECT_EQ(m.offered_per_s, 1);
  const Value v = max_rate_summary(m);
  EXPECT_DOUBLE_EQ(v.at("of_offered").as_double(), m.per_s[0]);
  EXPECT_EQ(v.find("interval"), nullptr);
}

/// The same calls and gaps as a trace: sped up, it has the same answer.
TEST(MaxRate, SpeedsATraceUp) {
  const std::string file = (std::filesystem::temp_directory_path() /
                            ("orrery-max-rate-" + std::to_string(::getpid()) + ".csv")).string();
  {
    std::ofstream trace(file);
    trace << "arrival_s,prompt_tokens,output_tokens\n";
    for (int i = 1; i <= 300; ++i) trace << i << ",500,40\n";
  }
  Value config = parse_json(kOneAtATime);
  config["workload"] = parse_json("{\"trace\": \"" + file + "\"}");
  const MaxRate traced = find_max_rate(assembly(to_json(config)), {1}, {}, "vllm");
  const MaxRate drawn = find_max_rate(assembly(kOneAtATime), {1}, {}, "vllm");
  std::filesystem::remove(file);
  EXPECT_NEAR(traced.per_s[0], drawn.per_s[0], 0.02 * drawn.per_s[0]);
}

TEST(MaxRate, SaysWhichRatesCannotBeVaried) {
  Assembly a = assembly(kOneAtATime);
  EXPECT_EQ(max_rate_obstacle(a), "");
  a.config.workload = parse_json(R"({"trace": "none.csv"})");
  EXPECT_EQ(max_rate_obstacle(a), "");
  a.config.workload = parse_json(R"({"trace": "none.csv", "scale": {"factor": 2, "method": "resample"}})");
  EXPECT_EQ(max_rate_obstacle(a), "needs \"method\": \"speedup\" in /workload/scale");
  a.config.workload = parse_json(R"({"trace": "none.csv", "sessions": "closed"})");
  EXPECT_EQ(max_rate_obstacle(a), "the requests of closed sessions come when those before them are done");
  a.config.workload = parse_json(R"({"trace": "none.csv"})");
  a.config.events.emplace_back();
  EXPECT_EQ(max_rate_obstacle(a),
            "events, capacity and power have times of their own; a trace that is sped up ends before them");
  a.config.slo.clear();
  EXPECT_EQ(max_rate_obstacle(a), "needs limits in /slo");
  Value closed = parse_json(kOneAtATime);
  closed["workload"]["arrival"] = parse_json(R"({"process": "closed", "users": 3})");
  EXPECT_EQ(max_rate_obstacle(assembly(to_json(closed))), "needs arrivals with a rate, or a trace");
}

TEST(MaxRate, IsZeroWhereNoRateMeetsTheSlo) {
  std::string text = kOneAtATime;
  text.replace(text.find("queue_p50"), 9, "ttft_p50");
  text.replace(text.find("1ms"), 3, "1us");
  const MaxRate m = find_max_rate(assembly(text), {1}, {}, "vllm");
  EXPECT_EQ(m.per_s, std::vector<double>{0});
}

}  // namespace
}  // namespace orrery
