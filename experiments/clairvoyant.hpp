/// What the same run comes to with a queue that knows how long every answer will be: order `sjf` by prompt and output,
/// predictor `oracle`, all else as it is. A mark beside a result, not a bound that is proved: shortest job first is best
/// for mean times at one server without preemption (Smith, Naval Res. Logist. Q. 3, 1956), and only good at a batch.
///
///   result.clairvoyant = run_clairvoyant(assembly, result.replications, watch, "vllm");   // one run for each
#pragma once

#include <string>
#include <vector>

#include "experiments/assembly.hpp"
#include "experiments/result.hpp"

namespace orrery {

/// The same seeds and the same warm-up as `runs`. Without values if it was interrupted. `metrics`: the convention of the
/// limits.
Clairvoyant run_clairvoyant(Assembly assembly, const std::vector<Replication>& runs, Watch watch,
                            const std::string& metrics);

/// {order, predictor, goodput_rps, ttft_mean_s, e2e_mean_s, of_goodput, of_ttft, of_e2e} for summary.json. The last three
/// say how near the result is, 1: as good; of goodput it is result / clairvoyant, of times clairvoyant / result.
Value clairvoyant_summary(const Clairvoyant& c);

}  // namespace orrery
