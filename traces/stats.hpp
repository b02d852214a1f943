/// What a trace holds, in numbers: what `orrery trace stats` prints.
///
///   TraceReader trace = TraceReader::open("prod.csv", {.arrivals = false, .output = 0});
///   Value v = trace_stats(trace);      // v.at("prompt_tokens").at("p99").as_int()
///
/// {file, format, requests, span_s, rate, gap_cv, prompt_tokens|output_tokens{mean,p50,p90,p99,max}, rank_correlation,
/// block_hit_ratio (of an unlimited cache; traces with block ids only)}. Exact; keeps all rows in memory.
#pragma once

#include "sim/config/value.hpp"
#include "traces/trace_reader.hpp"

namespace orrery {

Value trace_stats(TraceReader& trace);

}  // namespace orrery
