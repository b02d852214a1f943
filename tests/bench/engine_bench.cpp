/// How fast the engine runs, in process CPU time without rows (docs/PERFORMANCE.md has the protocol and the figures):
///   requests/s with 1 and 64 replicas (1155 / 211 tokens, 75 % load, chunk 512), tokens/s decode-heavy (500 / 4000).
///
///   engine_bench --benchmark_filter=one_replica
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "policies/batching/sarathi.hpp"
#include "policies/kv/paged.hpp"
#include "policies/routing/least_loaded.hpp"
#include "sim/base/math.hpp"
#include "sim/engine/simulation.hpp"

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

/// An 8B model on a fast GPU, as one line between knots (eight an octave of context).
class Line final : public CostModel {
 public:
  StepRun price(std::span<const StepShape> members, int) const override {
    const StepShape& s = members[0];
    StepRun r;
    const std::int64_t tokens = s.decodes.value() + s.prefill.value();
    r.first = Duration{5'000'000'000 + 20'000'000 * tokens + 32'000 * s.decode_context.value() + 6 * s.prefill_pairs};
    r.step = Duration{32'000 * s.decodes.value()};
    r.e_first = Energy{r.first.count() / 2};
    const auto c = static_cast<std::uint64_t>(s.decode_context.value() | 64);
    const int top = std::bit_width(c) - 4;
    const auto knot = static_cast<std::int64_t>(((c >> top) + 1) << top);
    r.valid = s.prefill > Tokens{} ? 1 : 1 + (knot - static_cast<std::int64_t>(c)) / std::max<std::int64_t>(s.decodes.value(), 1);
    return r;
  }
};

void run(benchmark::State& state, int replicas, double rate, double prompt, double output, std::int64_t requests) {
  Outcome out;
  for (auto _ : state) {
    Line cost;
    ModelExecutor executor(cost);
    Sarathi batcher(SarathiConfig{});
    Paged kv(PagedConfig{});
    LeastLoaded router(LeastLoadedConfig{});
    Requests source(requests, rate * replicas, prompt, output);
    Recorder recorder({.stations = replicas, .blocks = Blocks{30000}});
    SimulationParts parts;
    parts.source = &source;
    parts.recorder = &recorder;
    parts.router = &router;
    parts.stations.assign(static_cast<std::size_t>(replicas), {.batcher = &batcher, .kv_policy = &kv, .order = nullptr,
        .executor = &executor, .cost = &cost, .kv = {.total = Blocks{30000}}, .kv_bytes_per_token = {}});
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

void one_replica(benchmark::State& s) { run(s, 1, 15, 1155, 211, 300'000); }
void sixty_four_replicas(benchmark::State& s) { run(s, 64, 15, 1155, 211, 300'000); }
void decode_heavy(benchmark::State& s) { run(s, 1, 1.0, 500, 4000, 30'000); }

BENCHMARK(one_replica)->Unit(benchmark::kMillisecond);
BENCHMARK(sixty_four_replicas)->Unit(benchmark::kMillisecond);
BENCHMARK(decode_heavy)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace orrery

BENCHMARK_MAIN();
