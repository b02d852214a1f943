/// Sarathi-Serve: chunked prefill with stall-free decodes (Agrawal et al., OSDI'24, Algorithm 3).
/// Running decodes always run; what is left of the token budget goes to prefill chunks, oldest call first; then new
/// calls are admitted, first come first served, with KV for their whole prompt.
///
/// Defaults: token budget 512 (`chunk_size`) and 128 calls (`max_num_seqs`), authors' code, sarathi_scheduler.py; the
/// paper evaluates 512 (strict SLO) and 2048 (relaxed; 1536 for LLaMA2-70B). The optional dynamic schedule shrinks the
/// chunk linearly from `chunk_high` to `chunk_low` over the prompt, in multiples of 32 (same code).
/// Modelled: budget, stall-free batches, preemption of the latest by recompute, admission by whole-prompt KV.
/// Not modelled: the offline profile that picks the budget (give it); attention interference (in the cost model).
///
///   {"name": "sarathi", "token_budget": 2048}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SarathiConfig {
  Tokens token_budget = 512_tok;
  int max_running = 128;
  bool dynamic_chunk = false;
  Tokens chunk_high = 2048_tok, chunk_low = 512_tok;
};
void describe(Describer&, SarathiConfig&);

class Sarathi final : public Batcher {
 public:
  using Config = SarathiConfig;
  explicit Sarathi(SarathiConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return true; }

 private:
  Tokens chunk(const StationView&, const BatchPlan&, CallId) const;
  SarathiConfig config_;
};

}  // namespace orrery
