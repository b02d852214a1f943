/// Most urgent first (smaller `priority`), first come first served within a level, as vLLM's `priority` policy; with
/// aging, so that nobody starves: waiting `aging` makes up for one level. Since all age alike, the order of two calls
/// never changes: urgency is arrival + priority * aging, a static key (nanoseconds).
/// Default: no aging (strict), as vLLM v1.
///
///   {"order": {"name": "priority", "aging": "10s"}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct PriorityConfig {
  Duration aging{};
};
void describe(Describer&, PriorityConfig&);

class Priority final : public QueueOrder {
 public:
  using Config = PriorityConfig;
  explicit Priority(PriorityConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;

 private:
  PriorityConfig config_;
};

}  // namespace orrery
