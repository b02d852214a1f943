/// Takes every call that fits; the queue has no end. The default.
///
///   {"admission": "none"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class NoAdmissionLimit final : public AdmissionPolicy {
 public:
  using Config = NoConfig;
  explicit NoAdmissionLimit(NoConfig) {}
  bool admits(const Call&, const StationLoad&, Time) override { return true; }
};

}  // namespace orrery
