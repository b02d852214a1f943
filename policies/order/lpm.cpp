#include "policies/order/lpm.hpp"

namespace orrery {

void describe(Describer& d, LpmConfig& c) {
  d.field("fcfs_above", c.fcfs_above, {0, 1000000}, "With more calls waiting, first come first served");
}

std::int64_t Lpm::key(CallId id, const Call&, const Progress&, const StationView* view) const {
  const bool match = view && view->prefix && view->waiting.size() <= static_cast<std::size_t>(config_.fcfs_above);
  return match ? -view->prefix->match(id).tokens.value() : 0;   // equal keys: by number, which is arrival
}

}  // namespace orrery
