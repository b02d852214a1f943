/// Shortest remaining processing time: predicted output still to come, plus `prompt_weight` times the tokens still to
/// prefill (all of them after a recomputation). It differs from sjf for calls that come back after preemption.
/// Without a prediction the client's max_tokens stands in.
/// `preemptive`: a call that decodes gives its place to a shorter one that finds none, as under mlfq. Off by default:
/// what a preempted call has computed is lost or must be moved, and the papers that schedule LLM calls by length
/// differ.
///
///   {"order": {"name": "srpt", "prompt_weight": 0.05}, "predictor": "oracle"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SrptConfig {
  double prompt_weight = 0;
  bool preemptive = false;
};
void describe(Describer&, SrptConfig&);

class Srpt final : public QueueOrder {
 public:
  using Config = SrptConfig;
  explicit Srpt(SrptConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
  bool preempts() const override { return config_.preemptive; }

 private:
  SrptConfig config_;
};

}  // namespace orrery
