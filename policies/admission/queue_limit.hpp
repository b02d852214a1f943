/// A queue of limited length at each replica, as SGLang's `max_queued_requests`: a call that finds `max_waiting` others
/// waiting where it was routed is refused. What waits is what a plan has not admitted yet; preempted calls are among
/// it. Default: 128 calls (ours; the engines' own default is no limit, policy "none").
///
///   {"admission": {"name": "queue-limit", "max_waiting": 64}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct QueueLimitConfig {
  int max_waiting = 128;
};
void describe(Describer&, QueueLimitConfig&);

class QueueLimit final : public AdmissionPolicy {
 public:
  using Config = QueueLimitConfig;
  explicit QueueLimit(QueueLimitConfig config) : config_(config) {}
  bool admits(const Call&, const StationLoad&, Time) override;

 private:
  QueueLimitConfig config_;
};

}  // namespace orrery
