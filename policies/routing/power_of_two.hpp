/// Power of two choices (Mitzenmacher, IEEE TPDS 2001): of two different stations drawn at random, the one with fewer
/// unfinished calls; the first drawn if equal. O(1).
///
///   {"router": {"name": "power-of-two", "staleness": "1s"}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PowerOfTwoConfig {
  Duration staleness{};
};
void describe(Describer&, PowerOfTwoConfig&);

class PowerOfTwo final : public Router {
 public:
  using Config = PowerOfTwoConfig;
  explicit PowerOfTwo(PowerOfTwoConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  Duration staleness() const override { return config_.staleness; }

 private:
  PowerOfTwoConfig config_;
};

}  // namespace orrery
