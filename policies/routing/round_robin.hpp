/// Stations in turn. Needs no view of their load.
///
///   {"router": "round-robin"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct RoundRobinConfig {
  Duration staleness{};
};
void describe(Describer&, RoundRobinConfig&);

class RoundRobin final : public Router {
 public:
  using Config = RoundRobinConfig;
  explicit RoundRobin(RoundRobinConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
  Duration staleness() const override { return config_.staleness; }

 private:
  RoundRobinConfig config_;
};

}  // namespace orrery
