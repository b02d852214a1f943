/// Round robin over calls, the preemptive baseline of Andes (arXiv 2404.16283, section 6.1): when calls wait and find
/// no room, those that have run for `quantum` iterations give way, the longest turn first, and go behind all that have
/// had fewer turns. Decodes and admitted prompts share the step; calls leave as the KvPolicy says.
/// Default: 50 iterations a turn, as in the paper.
/// Modelled: turns counted by preemptions. Not modelled: a turn of a call that was thrown out for memory counts as one.
/// Stepped while calls wait.
///
///   {"batching": {"name": "round-robin", "quantum": 50}}
#pragma once

#include <vector>

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct RoundRobinBatchingConfig {
  int quantum = 50, max_running = 256;
  Tokens token_budget = 2560_tok;
};
void describe(Describer&, RoundRobinBatchingConfig&);

class RoundRobinBatching final : public Batcher {
 public:
  using Config = RoundRobinBatchingConfig;
  explicit RoundRobinBatching(RoundRobinBatchingConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;

 private:
  void take(const StationView&, BatchPlan&, const std::vector<CallId>& next) const;
  void make_room(const StationView&, BatchPlan&, CallId next) const;
  RoundRobinBatchingConfig config_;
};

}  // namespace orrery
