/// The station with the fewest tokens to hold: prompts plus emitted or predicted output of unfinished calls. Ties
/// rotate. O(stations).
///
///   {"router": "least-tokens"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct LeastTokensConfig {
  Duration staleness{};
};
void describe(Describer&, LeastTokensConfig&);

class LeastTokens final : public Router {
 public:
  using Config = LeastTokensConfig;
  explicit LeastTokens(LeastTokensConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
  Duration staleness() const override { return config_.staleness; }

 private:
  LeastTokensConfig config_;
};

}  // namespace orrery
