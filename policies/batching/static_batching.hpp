/// Static (request-level) batching, as FasterTransformer behind a batching queue (baseline of Orca, OSDI'22, section
/// 6). Takes up to max_bs waiting calls, runs them as one rectangle until the longest is done, and returns all
/// together. Prompts are padded to the longest of the batch; a finished call keeps its row, which computes nothing
/// useful.
///
/// Default: 8 calls; the paper finds (max_bs, microbatch) of (1, 1) or (8, 8) best: one batch at a time, over a
/// pipeline too (its other stages idle). KV: contiguous, `max-new`.
/// Modelled: padded prompts and rows (tokens and attention), responses that wait for the batch, KV held till then.
/// Not modelled: microbatches smaller than the batch; a queue delay that waits for more calls.
///
///   {"name": "static", "max_running": 16}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct StaticBatchingConfig {
  int max_running = 8;
};
void describe(Describer&, StaticBatchingConfig&);

class StaticBatching final : public Batcher {
 public:
  using Config = StaticBatchingConfig;
  explicit StaticBatching(StaticBatchingConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  bool returns_whole_batch() const override { return true; }

 private:
  StaticBatchingConfig config_;
};

}  // namespace orrery
