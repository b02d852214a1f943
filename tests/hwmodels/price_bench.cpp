/// What a price costs: the decode step that an engine asks for most, and steps with one and three chunks.
#include <benchmark/benchmark.h>

#include <vector>

#include "hwmodels/deployment.hpp"

namespace orrery {
namespace {

const OperatorCostModel& model() {
  static const Deployment d = deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm"});
  return *d.cost;
}

void decode_step(benchmark::State& state) {
  StepShape s;
  std::int64_t i = 0;
  for (auto _ : state) {
    const std::int64_t n = 32 + (i++ & 63);
    s.decodes = Tokens{n};
    s.decode_context = Tokens{n * (500 + (i & 1023))};
    s.sequences = s.outputs = static_cast<std::int32_t>(n);
    benchmark::DoNotOptimize(model().price({&s, 1}, 0));
  }
}
BENCHMARK(decode_step);

void step_with_chunks(benchmark::State& state) {
  std::vector<ChunkShape> chunks(static_cast<std::size_t>(state.range(0)));
  StepShape s;
  std::int64_t i = 0;
  for (auto _ : state) {
    const std::int64_t n = 32 + (i++ & 63), q = 512 / state.range(0);
    s = StepShape{};
    for (ChunkShape& c : chunks) {
      c = {Tokens{(i * 37) & 2047}, Tokens{q - (i & 31)}};
      s.prefill += c.q;
      s.prefill_pairs += c.q.value() * (c.context.value() + c.q.value() / 2);
    }
    s.chunks = chunks;
    s.decodes = Tokens{n};
    s.decode_context = Tokens{n * (500 + (i & 1023))};
    s.sequences = static_cast<std::int32_t>(n + state.range(0));
    s.outputs = static_cast<std::int32_t>(n);
    benchmark::DoNotOptimize(model().price({&s, 1}, 0));
  }
}
BENCHMARK(step_with_chunks)->Arg(1)->Arg(3);

void bake(benchmark::State& state) {
  const Deployment d = deploy({.model = "llama-3.1-8b", .hardware = "h200-sxm"});
  for (auto _ : state) {
    const auto fresh = d.cost->perturbed(1);
    StepShape s;
    for (std::int64_t n = 1; n <= 256; ++n) {
      s.decodes = Tokens{n}, s.decode_context = Tokens{n * 1000},
      s.sequences = s.outputs = static_cast<std::int32_t>(n);
      benchmark::DoNotOptimize(fresh->price({&s, 1}, 0));
    }
  }
}
BENCHMARK(bake)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace orrery

BENCHMARK_MAIN();
