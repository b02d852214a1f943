/// DeepSpeed-FastGen: Dynamic SplitFuse (Holmes et al., arXiv 2401.08671; MII, mii/batching/ragged_batching.py).
/// Forward passes of one size: running calls take one token each, and prompts, split or fused, fill the rest of the
/// token budget exactly, oldest first. A prompt goes on only while blocks for all that is left of it are free, though
/// it takes them chunk by chunk; the first that fails ends the iteration's prompts. If then nothing at all can run,
/// the last call that holds KV starts over.
///
/// Defaults: max_ragged_batch_size 768, max_ragged_sequence_count 512 (DSStateManagerConfig). KV: paged, `per-chunk`.
/// Modelled: exact filling, whole-prompt capacity test, sequence limit per pass, reset on deadlock.
/// Not modelled: MII lets a decode without a block sit out an iteration, and on deadlock recomputes every call; here
/// the latest gives way at once. More decodes than the budget all run.
///
///   {"name": "fastgen", "token_budget": 2048}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct FastGenConfig {
  Tokens token_budget = 768_tok;
  int max_running = 512;
};
void describe(Describer&, FastGenConfig&);

class FastGen final : public Batcher {
 public:
  using Config = FastGenConfig;
  explicit FastGen(FastGenConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool cuts_prompts() const override { return true; }

 private:
  Tokens prompts(const StationView&, BatchPlan&, Tokens left) const;
  FastGenConfig config_;
};

}  // namespace orrery
