#include "policies/batching/vllm.hpp"

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, VllmConfig& c) {
  d.field("token_budget", c.token_budget, {1, 1048576}, "Prompt tokens per prompt step (max_num_batched_tokens)");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once (max_num_seqs)");
}

void Vllm::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  prompts(station, plan);                                // 1. prompts alone, but never past what is swapped out
  if (!plan.chunks().empty()) return;
  decode_all(station, plan, config_.max_running);        // 2. else one token each: the latest may have to give way,
                                                         //    and if none had to, swapped calls come back
}

void Vllm::prompts(const StationView& station, BatchPlan& plan) const {
  Tokens left = config_.token_budget;
  for (CallId call : newcomers(station, plan)) {
    const Tokens prompt = station.target(call) - station.cached_prefix(call);
    const bool fits = prompt <= left || plan.chunks().empty();
    if (!fits || plan.running() >= config_.max_running || !plan.admit(call)) return;
    left -= plan.prefill(call, Tokens::max());
  }
}

}  // namespace orrery
