/// A station at random, all equally likely. Needs no view of their load.
///
///   {"router": "random"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class RandomRouter final : public Router {
 public:
  using Config = NoConfig;
  explicit RandomRouter(NoConfig) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
};

}  // namespace orrery
