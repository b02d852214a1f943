/// TensorRT-LLM: in-flight batching (NVIDIA; capacity scheduler + micro-batch scheduler of the batch manager). Every
/// iteration decodes all running calls and adds prompts, whole or chunked, within max_num_tokens. Who may start is
/// the capacity policy's:
///   guaranteed-no-evict   only calls whose maximum length surely fits    KV paged, `no-evict` (the default)
///   max-utilisation       as many as fit now; on overflow the last started is paused and recomputed: KV `on-demand`
///   static                `static_batch`: nobody new until the batch is done (its calls return one by one)
///
/// Defaults: max_batch_size 2048, max_num_tokens 8192, no chunked context (trtllm-build, LLM API).
/// Modelled: the three capacity policies, mixed iterations, first-come-first-served chunking; after a pause nobody
/// new is taken in that iteration. Not modelled: equal-progress chunking, LoRA (PEFT) cache, priorities of cached
/// blocks and their host tier (host_cache_size; eviction is LRU, leaves first), encoder step.
///
///   {"batching": {"name": "tensorrt-llm", "chunked_prefill": true}, "kv": {"name": "paged", "reserve": "on-demand"}}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct TensorRtLlmConfig {
  int max_running = 2048;
  Tokens token_budget = 8192_tok;
  bool chunked_prefill = false;
  bool static_batch = false;
};
void describe(Describer&, TensorRtLlmConfig&);

class TensorRtLlm final : public Batcher {
 public:
  using Config = TensorRtLlmConfig;
  explicit TensorRtLlm(TensorRtLlmConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return config_.chunked_prefill; }

 private:
  TensorRtLlmConfig config_;
};

}  // namespace orrery
