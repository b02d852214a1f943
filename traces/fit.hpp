/// Fits a workload model (workload_model.hpp) to a trace and says how well it fits. What `orrery trace fit` runs.
///
///   TraceReader trace = TraceReader::open("prod.csv");
///   Value model = fit_workload(trace, "prod", "our gateway, 2026-03-02");      // write it with to_json
///
/// Lengths keep a Kolmogorov-Smirnov distance of 0.003 (prompts) and 0.01 (outputs of one share of prompt rank) by
/// construction; `fit` in the result holds the distances over all requests, the means, the rank correlation and, for
/// traces with block ids, the block hit ratio of an unlimited cache, of the trace and of the model. All rows are kept
/// in memory: this is an offline tool.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/value.hpp"
#include "traces/trace_reader.hpp"
#include "traces/workload_model.hpp"

namespace orrery {

/// What is fitted: lengths, and if the source has them the gaps between arrivals and the blocks of the prompts.
struct WorkloadSample {
  std::vector<std::int64_t> prompt, output;
  double rate = 0, gap_cv = 0;                   ///< 0: no arrivals
  std::vector<std::vector<std::uint64_t>> blocks;   ///< by request; empty: none
};

WorkloadSample sample_of(TraceReader& trace);
/// Quantile grids of at most `shares` shares of prompt rank, at least 64 requests each.
WorkloadModel fit_model(const WorkloadSample& sample, std::string name, std::string source, std::size_t shares = 24);
/// The "fit" block: distances and means of the model against the sample.
Value fit_errors(const WorkloadModel& model, const WorkloadSample& sample);
Value fit_workload(TraceReader& trace, std::string name, std::string source);

/// Share of blocks that an earlier request had: the ceiling of a prefix cache.
double block_hit_ratio(const WorkloadSample& sample);

/// Of paired values, ties sharing their mean rank (Spearman).
double rank_correlation(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b);

}  // namespace orrery
