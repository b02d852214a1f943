/// First come, first served. The default everywhere; a recomputed call keeps its place.
///
///   {"order": "fcfs"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class Fcfs final : public QueueOrder {
 public:
  using Config = NoConfig;
  explicit Fcfs(NoConfig) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
};

}  // namespace orrery
