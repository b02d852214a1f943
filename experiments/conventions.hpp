/// Whose definition of a metric is printed (peers' table, DESIGN section 4). The engine records the convention "vllm";
/// the others are re-derived from the rows of completed requests that arrived after the warm-up.
///
///   vllm       TPOT = (E2E - TTFT) / (n - 1), n = 1 left out; ITL: all gaps between tokens, pooled
///   guidellm   TPOT = E2E / n, the first token included; ITL = (E2E - TTFT) / (n - 1) a request
///   aiperf     no TPOT; what it calls ITL is (E2E - TTFT) / (n - 1), n = 1 left out
///   mlperf     TPOT as vllm, "the average interval between all the tokens"; no ITL
///
/// SLO limits, attainment and goodput follow the convention; results by class are left out. 56 bytes a request are
/// kept.
#pragma once

#include <memory>
#include <string_view>

#include "sim/metrics/row.hpp"
#include "sim/metrics/summary.hpp"

namespace orrery {

class Convention : public RowSink {
 public:
  /// Replaces TPOT, ITL and the limits on them in a summary of the run that the rows came from.
  virtual void apply(Summary& summary) const = 0;
};

/// Null for "vllm". One for each run.
std::unique_ptr<Convention> make_convention(std::string_view name);

}  // namespace orrery
