#include "policies/admission/queue_limit.hpp"

namespace orrery {

void describe(Describer& d, QueueLimitConfig& c) {
  d.field("max_waiting", c.max_waiting, {0, 1e6}, "Calls that may wait at a replica; 0: refuse whatever comes");
}

bool QueueLimit::admits(const Call&, const StationLoad& there, Time) { return there.waiting < config_.max_waiting; }

}  // namespace orrery
