/// A station at random, all equally likely.
///
///   {"router": "random"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct RandomRouterConfig {
  Duration staleness{};
};
void describe(Describer&, RandomRouterConfig&);

class RandomRouter final : public Router {
 public:
  using Config = RandomRouterConfig;
  explicit RandomRouter(RandomRouterConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  Duration staleness() const override { return config_.staleness; }

 private:
  RandomRouterConfig config_;
};

}  // namespace orrery
