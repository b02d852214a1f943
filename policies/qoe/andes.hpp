/// Andes (Liu et al., arXiv 2404.16283): token delivery paced to how fast people read. The rule is that of the authors'
/// scheduler for vLLM 0.6.1 (andes_scheduler.py, andes_utils/), a batcher:
///   every 10th iteration, while at least 90 % of KV is in use:
///   1. value of a call = (QoE at the end of the horizon if served, less that if it waits), a tenth more if it runs
///   2. preemptions, at most as many as the slack of the tenth most urgent reader pays for, at 3 s a 90,000 tokens
///   moved 3. running calls worth less a block than the best that waits give way; the freed and free blocks are packed
///   greedily,
///      most value for squared size first
///   with less KV in use, waiting calls are admitted by value for size at any iteration. Decodes and admitted prompts
///   share the step. Calls leave as the KvPolicy says: recompute (default) or swap.
///
/// Defaults: horizon 10 s, every 10 iterations, 0.9, bonus 0.1 (spec of the survey; the code's history has others),
/// token latency 50 ms (the code's constant). What a reader expects is the class's qoe {ttft, tpot}; a class without
/// one counts as `ttft` and `tpot` here: 1 s and 0.2 s, about the mean reading speed of the paper.
/// Modelled: as above, objective average QoE. Not modelled: the objective of the minimum; the dynamic-programming
/// packer; fitting the token latency at run time. "Ahead of schedule" is judged now, not at the last token.
/// Stepped while calls wait; O(calls log calls) where it acts.
///
///   {"batching": {"name": "andes", "horizon": "10s"}}
#pragma once

#include <vector>

#include "policies/qoe/expectation.hpp"
#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct AndesConfig {
  Duration horizon = 10s, token_latency = 50ms, ttft = 1s, tpot = 200ms;
  int every = 10, max_running = 256;
  double kv_threshold = 0.9, running_bonus = 0.1;
  Tokens token_budget = 2560_tok;
};
void describe(Describer&, AndesConfig&);

class Andes final : public Batcher {
 public:
  using Config = AndesConfig;
  explicit Andes(AndesConfig config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;
  void on_start(std::span<const ServiceClass> classes) override { classes_.assign(classes.begin(), classes.end()); }

 private:
  struct Candidate {
    CallId call;
    double value;               ///< of serving it, the running bonus included
    std::int64_t blocks;        ///< that it holds, or would
    bool runs;
    double per_block() const { return value / static_cast<double>(blocks); }
    double density() const { return per_block() / static_cast<double>(blocks); }
  };
  Reading reading(const StationView&, CallId) const;
  Candidate candidate(const StationView&, CallId, bool runs) const;
  std::vector<Candidate> outside(const StationView&) const;
  int preemption_cap(const StationView&, const std::vector<Candidate>& running) const;
  void act(const StationView&, BatchPlan&) const;
  void take(const StationView&, BatchPlan&, const std::vector<Candidate>& chosen) const;

  AndesConfig config_;
  std::vector<ServiceClass> classes_;
};

}  // namespace orrery
