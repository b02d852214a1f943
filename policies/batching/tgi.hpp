/// Text Generation Inference v3 (Hugging Face; backends/v3/src/backend.rs `batching_task`, queue.rs `next_batch`).
/// The running batch decodes until newcomers are worth the interruption: when at least waiting_served_ratio times the
/// batch could be taken in at once, or max_waiting_tokens steps after the last ones. They are then prefilled alone,
/// whole, up to the prefill budget, first come first served. With `chunked_prefill`, newcomers are taken at any time
/// and their chunks share the step with the decodes (budget minus running tokens; the last prompt is cut to fill it).
///
/// Defaults: ratio 0.3, 20 steps, 4096 prefill tokens (rounded up to whole blocks), 128 concurrent requests
/// (launcher).
/// KV: paged, `max-new`; nothing is ever preempted.
/// Modelled: both onboarding rules, the prefill budget on tokens that are not cached, chunking, reservation of
/// max_new.
/// Not modelled: a second onboarding before the first decode of a batch; error 429 above max_concurrent_requests
/// (further calls wait); the error for a prompt longer than the budget, which is run alone; `speculate`.
///
///   {"name": "tgi", "chunked_prefill": true}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct TgiConfig {
  double waiting_served_ratio = 0.3;
  int max_waiting_tokens = 20;
  Tokens token_budget = 4096_tok;
  bool chunked_prefill = false;
  int max_running = 128;
};
void describe(Describer&, TgiConfig&);

class Tgi final : public Batcher {
 public:
  using Config = TgiConfig;
  explicit Tgi(TgiConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return config_.chunked_prefill; }

 private:
  void mixed(const StationView&, BatchPlan&) const;
  int next_batch(const StationView&, BatchPlan&, Tokens budget) const;
  TgiConfig config_;
};

}  // namespace orrery
