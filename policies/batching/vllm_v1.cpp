#include "policies/batching/vllm_v1.hpp"

#include <algorithm>

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, VllmV1Config& c) {
  d.field("token_budget", c.token_budget, {1, 1048576}, "Tokens per iteration (max_num_batched_tokens)");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once (max_num_seqs)");
  d.field("long_prefill_threshold", c.long_prefill_threshold, {0, 1048576},
          "Most tokens of one prompt per iteration (long_prefill_token_threshold); 0: no limit");
}

VllmV1::VllmV1(VllmV1Config config)
    : config_(config), chunk_(config.long_prefill_threshold > 0_tok ? config.long_prefill_threshold : Tokens::max()) {}

void VllmV1::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  Tokens left =
      config_.token_budget - decode_all(station, plan, config_.max_running);   // 1. RUNNING; the last gives way
  for (CallId call : station.prefilling) {
    if (left <= 0_tok) break;
    left -= plan.continue_prefill(call, std::min(chunk_, left));
  }
  for (CallId call : newcomers(station, plan)) {                     // 2. WAITING, only if nothing was preempted
    const Tokens first = std::min(chunk_, left);
    if (left <= 0_tok || plan.running() >= config_.max_running || !plan.admit(call, first)) break;
    left -= plan.prefill(call, first);
  }
  plan.repeat.chunk = left <= 0_tok;                                 // all is spent
}

}  // namespace orrery
