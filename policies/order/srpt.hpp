/// Shortest remaining processing time: predicted output still to come, plus `prompt_weight` times the tokens still to
/// prefill (all of them after a recomputation). It differs from sjf for calls that come back after preemption.
/// Without a prediction the client's max_tokens stands in. It does not preempt running calls by itself.
///
///   {"order": {"name": "srpt", "prompt_weight": 0.05}, "predictor": "oracle"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SrptConfig {
  double prompt_weight = 0;
};
void describe(Describer&, SrptConfig&);

class Srpt final : public QueueOrder {
 public:
  using Config = SrptConfig;
  explicit Srpt(SrptConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;

 private:
  SrptConfig config_;
};

}  // namespace orrery
