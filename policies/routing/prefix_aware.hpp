/// Cache-aware routing as SGLang's router (sgl-router, policy `cache_aware`): to the station with the longest cached
/// prefix if that covers `cache_threshold` of the prompt; to the least loaded if it does not, or if the cluster is
/// out of balance: calls differ by more than `balance_abs` and by more than the factor `balance_rel`.
/// Defaults: 0.5, 32 and 1.0001 (sgl-router 0.1; later versions 0.3, 64, 1.5). It asks the true caches, where
/// SGLang's router keeps an approximate tree of its own. O(stations * prompt segments).
///
///   {"router": {"name": "prefix-aware", "cache_threshold": 0.3}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PrefixAwareConfig {
  Duration staleness{};
  double cache_threshold = 0.5;
  int balance_abs = 32;
  double balance_rel = 1.0001;
};
void describe(Describer&, PrefixAwareConfig&);

class PrefixAware final : public Router {
 public:
  using Config = PrefixAwareConfig;
  explicit PrefixAware(PrefixAwareConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
  Duration staleness() const override { return config_.staleness; }

 private:
  PrefixAwareConfig config_;
};

}  // namespace orrery
