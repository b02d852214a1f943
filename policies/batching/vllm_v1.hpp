/// vLLM v1: no prefill or decode phase, each call is given tokens until its computed tokens catch up
/// (vllm/v1/core/sched/scheduler.py, `schedule`).
/// Running calls first: decodes one token, started prompts as much as the budget allows, blocks taken chunk by chunk;
/// while they are short the last running call is preempted (recompute). Waiting calls are admitted only if nothing was
/// preempted, with blocks for their first chunk alone.
///
/// Defaults: `max_num_batched_tokens` 8192 and `max_num_seqs` 1024, those of its server on a GPU with 70 GiB or more
/// that is no A100 (2048 and 256 elsewhere; vllm/engine/arg_utils.py); `long_prefill_token_threshold` 0 = off. KV:
/// paged, `per-chunk`, no watermark.
/// Modelled: budget, per-chunk allocation, preemption of the last, no admission after a preemption, the threshold.
/// Not modelled: speculative tokens, remote KV, encoder budget, asynchronous scheduling, cascade attention.
///
///   {"name": "vllm-v1", "token_budget": 2048, "long_prefill_threshold": 512}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct VllmV1Config {
  Tokens token_budget = 8192_tok;
  int max_running = 1024;
  Tokens long_prefill_threshold = 0_tok;
};
void describe(Describer&, VllmV1Config&);

class VllmV1 final : public Batcher {
 public:
  using Config = VllmV1Config;
  explicit VllmV1(VllmV1Config config);
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return true; }

 private:
  VllmV1Config config_;
  Tokens chunk_;   ///< most tokens of one prompt in one iteration
};

}  // namespace orrery
