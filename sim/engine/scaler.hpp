/// Carries out what scaling rules say (sim/scaling.hpp): every so often it notes the state of its pool, asks the rule
/// about the state `lag` ago, and starts or drains the difference. Those that drain come back first, then instances
/// that are off start by number; drained are the serving instances with the fewest calls, the last of equals.
///
///   Scaler scaler({.rule = &rule, .pool = p, .least = 2, .most = 16, .every = 15s, .start_delay = 4min});
///   parts.controllers = {&scaler};
///
/// O(instances of the pool) a time.
#pragma once

#include <cstdint>
#include <deque>

#include "sim/engine/cluster_parts.hpp"
#include "sim/scaling.hpp"

namespace orrery {

struct ScalerParts {
  ScalingRule* rule = nullptr;      ///< not owned; may keep state, so one a run
  PoolId pool;
  std::int32_t least = 0, most = 0; ///< instances that may serve
  Duration every = 15s;
  Duration lag{};                   ///< age of what the rule sees
  Duration start_delay{};           ///< until a started instance serves
};

class Scaler final : public ClusterController {
 public:
  explicit Scaler(ScalerParts parts) : parts_(parts) {}
  std::string_view name() const override { return "scaling"; }
  Time next() const override { return next_; }
  void run(ClusterEngine&) override;

 private:
  PoolState look(const ClusterEngine& cluster) const;
  void scale(ClusterEngine& cluster, std::int32_t change);
  ScalerParts parts_;
  Time next_{};
  std::deque<PoolState> seen_;      ///< no older than the one that the rule sees
};

}  // namespace orrery
