#include "traces/stats.hpp"

#include <algorithm>

#include "traces/fit.hpp"

namespace orrery {
namespace {

/// Percentiles are the smallest values with at least that share of the rows at or below them.
Value lengths_of(std::vector<std::int64_t> values, Wide sum) {
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) { return values[(values.size() * percent + 99) / 100 - 1]; };
  Value v = Value::object();
  v["mean"] = static_cast<double>(sum) / static_cast<double>(values.size());
  v["p50"] = at(50);
  v["p90"] = at(90);
  v["p99"] = at(99);
  v["max"] = values.back();
  return v;
}

}  // namespace

Value trace_stats(TraceReader& trace) {
  const TraceFacts& f = trace.facts();
  const WorkloadSample s = sample_of(trace);
  Value v = Value::object();
  v["file"] = trace.path();
  v["format"] = std::string(name_of(f.format));
  v["requests"] = f.rows;
  if (f.has_arrivals) v["span_s"] = to_seconds(f.last - f.first);
  if (s.rate > 0) {
    v["rate"] = s.rate;
    v["gap_cv"] = s.gap_cv;
  }
  v["prompt_tokens"] = lengths_of(s.prompt, f.prompt_sum);
  v["output_tokens"] = lengths_of(s.output, f.output_sum);
  v["rank_correlation"] = rank_correlation(s.prompt, s.output);
  if (!s.blocks.empty()) v["block_hit_ratio"] = block_hit_ratio(s);
  return v;
}

}  // namespace orrery
