#include "policies/batching/tensorrt_llm.hpp"

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, TensorRtLlmConfig& c) {
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once (max_batch_size)");
  d.field("token_budget", c.token_budget, {1, 1048576}, "Tokens per iteration (max_num_tokens)");
  d.field("chunked_prefill", c.chunked_prefill, "Cut prompts to fit the budget (chunked context)");
  d.field("static_batch", c.static_batch, "STATIC_BATCH: nobody new until all running calls are done");
}

void TensorRtLlm::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  Tokens left = config_.token_budget - decode_all(station, plan, config_.max_running);
  for (CallId call : station.prefilling) {
    if (left <= 0_tok) break;
    left -= plan.continue_prefill(call, left);
  }
  plan.repeat.chunk = left <= 0_tok;   // all is spent, and nobody new gets any of it
  const bool closed = config_.static_batch && station.group.size + station.prefilling.size() > 0;
  if (closed) return;
  for (CallId call : newcomers(station, plan)) {                              // none if a call was paused
    const Tokens prompt = station.target(call) - station.cached_prefix(call);
    const bool alone = plan.decoding() == 0_tok && plan.chunks().empty();   // a prompt above the budget runs alone
    const bool fits = config_.chunked_prefill ? left > 0_tok : prompt <= left || alone;
    if (!fits || plan.running() >= config_.max_running || !plan.admit(call)) return;
    left -= plan.prefill(call, config_.chunked_prefill ? left : Tokens::max());
  }
}

}  // namespace orrery
