/// Paged KV (PagedAttention: Kwon et al., SOSP'23): blocks that need not be adjacent, and five answers to how many a
/// call takes at admission:
///   on-demand   its prompt; then a block whenever the last one is full (vLLM 0.2, max-utilisation of TensorRT-LLM)
///   per-chunk   its next chunk; then as above (vLLM v1)
///   max-new     prompt + max_tokens - 1, so it is never preempted (TGI, queue.rs)
///   no-evict    its prompt, with prompt + max_tokens promised: admission counts promises, so blocks never run out
///               (TensorRT-LLM, GUARANTEED_NO_EVICT)
///   predicted   prompt + predicted output; when that is full the call leaves (swap or recompute) and comes back with
///               `growth` times as much (S3: growth 2, swap)
/// Defaults are vLLM's: on-demand, 1 % of the blocks left free by admissions (watermark), recompute for one sequence
/// a call. Without a prediction, `predicted` reserves max_tokens.
///
///   {"name": "paged", "reserve": "predicted", "preempt": "swap"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PagedConfig {
  enum class Reserve { kOnDemand, kPerChunk, kMaxNew, kNoEvict, kPredicted } reserve = Reserve::kOnDemand;
  double watermark = 0.01;
  Leave preempt = Leave::kRecompute;
  double growth = 2;
};
void describe(Describer&, PagedConfig&);

class Paged final : public KvPolicy {
 public:
  using Config = PagedConfig;
  explicit Paged(PagedConfig config) : config_(config) {}
  double watermark() const override { return config_.watermark; }
  Tokens reserve(const Call&, Tokens target, Tokens chunk) const override;
  Tokens promise(const Call&, Tokens reserved) const override;
  Tokens regrow(const Call&, Tokens reserved) const override;
  Leave preempt(const Call&) const override { return config_.preempt; }

 private:
  PagedConfig config_;
};

}  // namespace orrery
