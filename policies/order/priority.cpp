#include "policies/order/priority.hpp"

namespace orrery {

void describe(Describer& d, PriorityConfig& c) {
  d.field("aging", c.aging, {0, 86400}, "Waiting this long makes up for one priority level; 0: levels are strict");
}

namespace {
constexpr std::int64_t kStrict = 1ll << 47;   // 39 hours in ns: longer than anybody waits, and 2^15 levels fit in 2^62
constexpr std::int64_t kPsPerNs = 1000;
}  // namespace

std::int64_t Priority::key(CallId, const Call& call, const Progress&, const StationView*) const {
  const std::int64_t level = config_.aging > Duration{} ? to_ps(config_.aging) / kPsPerNs : kStrict;
  return to_ps(call.arrival) / kPsPerNs + call.priority * level;
}

}  // namespace orrery
