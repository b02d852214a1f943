/// Shortest job first, by the predicted output (upper bound), plus `prompt_weight` times the prompt. Without a
/// prediction the client's max_tokens stands in. Not preemptive: it orders the queue, and says who gives way when KV
/// runs out.
/// Default: output alone, as in the length-prediction papers (e.g. Response-length perception, NeurIPS'23).
///
///   {"order": "sjf", "predictor": "oracle"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SjfConfig {
  double prompt_weight = 0;
};
void describe(Describer&, SjfConfig&);

class Sjf final : public QueueOrder {
 public:
  using Config = SjfConfig;
  explicit Sjf(SjfConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;

 private:
  SjfConfig config_;
};

}  // namespace orrery
