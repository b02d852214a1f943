/// Join the shortest queue: the station with the fewest unfinished calls. Ties rotate. O(stations).
///
///   {"router": {"name": "least-loaded", "staleness": "100ms"}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct LeastLoadedConfig {
  Duration staleness{};
};
void describe(Describer&, LeastLoadedConfig&);

class LeastLoaded final : public Router {
 public:
  using Config = LeastLoadedConfig;
  explicit LeastLoaded(LeastLoadedConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
  Duration staleness() const override { return config_.staleness; }

 private:
  LeastLoadedConfig config_;
};

}  // namespace orrery
