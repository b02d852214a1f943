/// How fast requests come: rows of a CSV trace and draws of generators, in CPU time. DESIGN: >= 1e7 rows/s on one core.
///
///   orrery_trace_bench --benchmark_filter=csv
#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "traces/make_source.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {
namespace {

constexpr int kRows = 2'000'000;

/// A file of kRows rows that lives as long as the program.
class TraceFile {
 public:
  explicit TraceFile(bool azure)
      : path_(std::filesystem::temp_directory_path() / (azure ? "orrery_bench_azure.csv" : "orrery_bench_plain.csv")) {
    std::ofstream out(path_, std::ios::binary);
    out << (azure ? "TIMESTAMP,ContextTokens,GeneratedTokens\r\n" : "arrival_s,prompt_tokens,output_tokens\n");
    char line[96];
    for (int i = 0; i < kRows; ++i) {
      const int second = i / 100, prompt = i * 37 % 4000 + 1, output = i * 11 % 700 + 1;
      if (azure) {
        std::snprintf(line, sizeof line, "2023-11-16 %02d:%02d:%02d.%07d,%d,%d\r\n", second / 3600, second / 60 % 60,
                      second % 60, i % 100 * 100'000, prompt, output);
      } else {
        std::snprintf(line, sizeof line, "%d.%06d,%d,%d\n", second, i % 100 * 10'000, prompt, output);
      }
      out << line;
    }
  }
  ~TraceFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

void csv(benchmark::State& state, bool azure) {
  const TraceFile file(azure);
  TraceReader reader = TraceReader::open(file.path());
  for (auto _ : state) {
    reader.rewind();
    std::int64_t tokens = 0;
    while (const TraceRow* row = reader.next()) tokens += row->request.prompt_tokens.value();
    benchmark::DoNotOptimize(tokens);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

/// What a run pays: the check of every row, then the rows as requests.
void csv_checked_and_replayed(benchmark::State& state) {
  const TraceFile file(true);
  const Value workload = parse_json("{\"trace\": \"" + file.path() + "\"}");
  for (auto _ : state) {
    ResolvedInfo info;
    const auto source = make_source(workload, 1, {}, info);
    Request r;
    while (source->peek() != kNever) source->pop(r);
    benchmark::DoNotOptimize(r);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}

void generate(benchmark::State& state, const char* text) {
  ResolvedInfo info;
  const auto source = make_source(parse_json(text), 1, {}, info);
  Request r;
  for (auto _ : state) {
    source->pop(r);
    benchmark::DoNotOptimize(r);
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(csv, azure, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(csv, plain, false)->Unit(benchmark::kMillisecond);
BENCHMARK(csv_checked_and_replayed)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(
    generate, poisson_fixed,
    R"({"arrival": {"rate": 1e6}, "lengths": {"prompt": 1155, "output": 211}, "requests": 1000000000000})");
BENCHMARK_CAPTURE(generate, poisson_model,
                  R"({"arrival": {"rate": 1e6}, "lengths": "azure-conv-2023", "requests": 1000000000000})");
BENCHMARK_CAPTURE(
    generate, poisson_lognormal,
    R"({"arrival": {"rate": 1e6}, "lengths": {"prompt": "lognormal:1155,1.1", "output": "exponential:211"},
        "requests": 1000000000000})");
BENCHMARK_CAPTURE(
    generate, gamma_model,
    R"({"arrival": {"process": "gamma", "rate": 1e6, "cv": 3}, "lengths": "azure-conv-2023",
        "requests": 1000000000000})");

}  // namespace
}  // namespace orrery

BENCHMARK_MAIN();
