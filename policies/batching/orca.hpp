/// Orca: iteration-level scheduling with selective batching (Yu et al., OSDI'22, Algorithm 1 `Select`). Every
/// iteration runs the first calls by arrival, up to max_bs: those that run already, then new ones with their whole
/// prompt, as long as KV for prompt + maximum output can be reserved; the first that does not fit stops the
/// selection.
///
/// Default: max_bs 32, of {1, 8, 16, 32, 128} in the paper's evaluation. The reservation is the KV policy's
/// (contiguous, `max-new`, in the paper's terms n_rsrv + max_tokens <= n_slots); its vLLM-paper variants are
/// contiguous max, pow2 and oracle. `max_running` counts one batch; a pipeline has one batch a stage in flight
/// (n_workers).
/// Modelled: iteration-level batches that mix whole prompts with decodes; FCFS selection; reservation.
/// Not modelled: a call stays in the batch (lane) that admitted it, where Orca re-selects over all workers' calls;
/// the separation of control and data messages (a host term of the cost model).
///
///   {"name": "orca", "max_running": 8}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct OrcaConfig {
  int max_running = 32;
};
void describe(Describer&, OrcaConfig&);

class Orca final : public Batcher {
 public:
  using Config = OrcaConfig;
  explicit Orca(OrcaConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;

 private:
  OrcaConfig config_;
};

}  // namespace orrery
