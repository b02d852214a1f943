/// Stations in turn. Needs no view of their load.
///
///   {"router": "round-robin"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class RoundRobin final : public Router {
 public:
  using Config = NoConfig;
  explicit RoundRobin(NoConfig) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
};

}  // namespace orrery
