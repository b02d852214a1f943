/// vLLM as of 0.2: PagedAttention with prefill-first iteration-level scheduling (Kwon et al., SOSP'23, sections 4.5 and
/// 4.6; vllm/core/scheduler.py of 0.2, `_schedule`).
/// While nothing is swapped out, waiting prompts go first, in steps that hold prompts alone. Otherwise everything that
/// runs decodes, the latest call giving way while blocks are short; if none had to, swapped calls come back.
///
/// Defaults: 256 calls (`max_num_seqs`), 2560 prompt tokens a step (`max_num_batched_tokens` of the 0.2 era); watermark
/// of 1 % and preemption by recompute (one sequence a call) are the KV policy's.
/// Modelled: prompt-only steps, swapped-first, watermark, preemption of the latest by recompute or swap.
/// Not modelled: copy-on-write of parallel samples; padding of prompts to the longest (`max_paddings`). A prompt longer
/// than the budget, which vLLM refuses, is run alone.
///
///   {"name": "vllm", "token_budget": 4096}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct VllmConfig {
  Tokens token_budget = 2560_tok;
  int max_running = 256;
};
void describe(Describer&, VllmConfig&);

class Vllm final : public Batcher {
 public:
  using Config = VllmConfig;
  explicit Vllm(VllmConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;

 private:
  void prompts(const StationView&, BatchPlan&) const;
  VllmConfig config_;
};

}  // namespace orrery
