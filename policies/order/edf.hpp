/// Earliest deadline first; calls without a deadline come last, in order of arrival.
///
///   {"order": "edf"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class Edf final : public QueueOrder {
 public:
  using Config = NoConfig;
  explicit Edf(NoConfig) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
};

}  // namespace orrery
