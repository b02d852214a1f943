/// How fast the engine runs, in process CPU time, on Llama-3.1-8B and H200s (docs/PERFORMANCE.md has the protocol and
/// the figures): requests/s with 1 and 64 replicas at 75 % of what they can carry (1155 / 211 tokens, chunk 512), the
/// same with rows written to a file, tokens/s decode-heavy (500 / 4000), and 1e7 requests in one run. `rows_alone` is
/// what a row costs from the engine's value to the file.
///
///   engine_bench --benchmark_filter=one_replica
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "hwmodels/deployment.hpp"
#include "policies/batching/sarathi.hpp"
#include "policies/kv/paged.hpp"
#include "policies/routing/least_loaded.hpp"
#include "sim/base/math.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/metrics/rows_csv.hpp"

namespace orrery {
namespace {

/// Poisson arrivals, exponential lengths: about what a workload model costs to draw from.
class Requests final : public RequestSource {
 public:
  Requests(std::int64_t count, double rate, double prompt, double output)
      : count_(count), gap_(1e12 / rate), prompt_(prompt), output_(output) { draw(); }
  Time peek() const override { return next_.arrival; }
  bool wants_done() const override { return false; }
  void pop(Request& out) override {
    out = next_;
    draw();
  }

 private:
  void draw() {
    if (drawn_ == count_) {
      next_.arrival = kNever;
      return;
    }
    Rng rng(1, Purpose::kArrival, static_cast<std::uint64_t>(drawn_));
    at_ += static_cast<std::int64_t>(-gap_ * fast_log(rng.uniform_positive()));
    next_.number = static_cast<std::uint64_t>(drawn_++);
    next_.arrival = Time{Duration{at_}};
    next_.prompt_tokens = Tokens32{1 + static_cast<std::int32_t>(-prompt_ * fast_log(rng.uniform_positive()))};
    next_.output_tokens = Tokens32{1 + static_cast<std::int32_t>(-output_ * fast_log(rng.uniform_positive()))};
    next_.max_tokens = next_.output_tokens;
  }
  std::int64_t count_, drawn_ = 0, at_ = 0;
  double gap_, prompt_, output_;
  Request next_;
};

const Deployment& h200() {
  static const Deployment d = deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm"});
  return d;
}

/// requests.csv in the folder of temporary files, for as long as the object lives.
struct RowsFile {
  ~RowsFile() { std::filesystem::remove(path); }
  std::string path = (std::filesystem::temp_directory_path() / "orrery_bench_rows.csv").string();
  RequestsCsv csv{path, {}};
};

void run(benchmark::State& state, int replicas, double rate, double prompt, double output, std::int64_t requests,
         RowSink* rows = nullptr) {
  Outcome out;
  for (auto _ : state) {
    const OperatorCostModel& cost = *h200().cost;
    const Blocks blocks{h200().kv.blocks};
    ModelExecutor executor(cost);
    Sarathi batcher(SarathiConfig{});
    Paged kv(PagedConfig{});
    LeastLoaded router(LeastLoadedConfig{});
    Requests source(requests, rate * replicas, prompt, output);
    Recorder recorder({.stations = replicas, .blocks = blocks, .rows = rows});
    SimulationParts parts;
    parts.source = &source;
    parts.recorder = &recorder;
    parts.router = &router;
    parts.stations.assign(static_cast<std::size_t>(replicas), {.batcher = &batcher, .kv_policy = &kv, .order = nullptr,
        .executor = &executor, .cost = &cost, .kv = {.total = blocks}, .kv_bytes_per_token = {}});
    Simulation simulation(std::move(parts));
    out = simulation.run();
  }
  const auto done = static_cast<double>(requests * state.iterations());
  state.counters["requests/s"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
  const double tokens = static_cast<double>(requests * state.iterations()) * (prompt + output);
  state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
  state.counters["busy"] = out.summary.busy;
  state.counters["mean running"] = out.summary.mean_running;
  state.counters["events/request"] = static_cast<double>(out.events) / static_cast<double>(requests);
}

void one_replica(benchmark::State& s) { run(s, 1, 13.4, 1155, 211, 300'000); }
/// What a run costs once, tables of prices and the merging of epochs, spread over ten times as many requests.
void one_replica_for_long(benchmark::State& s) { run(s, 1, 13.4, 1155, 211, 3'000'000); }
void sixty_four_replicas(benchmark::State& s) { run(s, 64, 13.4, 1155, 211, 300'000); }
void decode_heavy(benchmark::State& s) { run(s, 1, 1.6, 500, 4000, 30'000); }
void one_replica_with_rows(benchmark::State& s) {
  RowsFile file;
  run(s, 1, 13.4, 1155, 211, 300'000, &file.csv);
}

/// A row from the engine's value to the file.
void rows_alone(benchmark::State& state) {
  RowsFile file;
  Row row{.number = 123456, .prompt = Tokens32{1155}, .station = StationId{0}};
  std::int64_t at = 9'213'123'456'789'012;
  for (auto _ : state) {
    row.arrival = Time{Duration{at}};
    row.first_schedule = row.arrival + Duration{12'345'678'901};
    row.first_token = row.first_schedule + Duration{43'210'987'654};
    row.finish = row.first_token + Duration{1'501'234'567'890};
    row.output = Tokens32{static_cast<std::int32_t>(at % 400)};
    file.csv.row(row);
    ++row.number;
    at += 74'123'456'789;
  }
  state.SetItemsProcessed(state.iterations());
}

void ten_million_requests(benchmark::State& s) { run(s, 64, 13.4, 1155, 211, 10'000'000); }

BENCHMARK(one_replica)->Unit(benchmark::kMillisecond);
BENCHMARK(one_replica_for_long)->Unit(benchmark::kMillisecond);
BENCHMARK(sixty_four_replicas)->Unit(benchmark::kMillisecond);
BENCHMARK(decode_heavy)->Unit(benchmark::kMillisecond);
BENCHMARK(one_replica_with_rows)->Unit(benchmark::kMillisecond);
BENCHMARK(rows_alone);
BENCHMARK(ten_million_requests)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace orrery

BENCHMARK_MAIN();
