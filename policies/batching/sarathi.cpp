#include "policies/batching/sarathi.hpp"

#include <algorithm>

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, SarathiConfig& c) {
  d.field("token_budget", c.token_budget, {1, 1048576}, "Tokens per iteration, running decodes included");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once");
  d.field("dynamic_chunk", c.dynamic_chunk,
          "Shrink the chunk as a prompt progresses, instead of using the budget alone");
  d.field("chunk_high", c.chunk_high, {32, 1048576}, "dynamic_chunk: chunk at the start of a prompt");
  d.field("chunk_low", c.chunk_low, {32, 1048576}, "dynamic_chunk: chunk at its end");
}

void Sarathi::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  Tokens left = config_.token_budget - decode_all(station, plan, config_.max_running);   // 1. no decode waits
  for (CallId call : station.prefilling) {                            // 2. finish what was started
    if (left <= 0_tok) break;
    left -= plan.continue_prefill(call, std::min(chunk(station, plan, call), left));
  }
  for (CallId call : newcomers(station, plan)) {                      // 3. then admit, first come first served
    if (left <= 0_tok || plan.running() >= config_.max_running || !plan.admit(call, left)) break;
    left -= plan.prefill(call, std::min(chunk(station, plan, call), left));
  }
  plan.repeat.chunk = left <= 0_tok && !config_.dynamic_chunk;        // all is spent: next time on the same prompt
}

/// The dynamic schedule: high at the start of the prompt, low at its end, in steps of 32.
Tokens Sarathi::chunk(const StationView& station, const BatchPlan& plan, CallId call) const {
  if (!config_.dynamic_chunk) return Tokens::max();
  const Tokens target = station.target(call), done = target - plan.remaining(call);
  const Tokens shrink = (config_.chunk_high - config_.chunk_low) * done.value() / target.value();
  return std::max((config_.chunk_high - shrink) / 32 * 32, 32_tok);
}

}  // namespace orrery
