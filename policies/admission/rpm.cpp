#include "policies/admission/rpm.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, RpmConfig& c) {
  d.field("limit", c.limit, {1, 1e6}, "Requests of a tenant that are taken within any 60 s");
}

bool Rpm::admits(const Call& call, const StationLoad&, Time now) {
  taken_.resize(std::max<std::size_t>(taken_.size(), call.tenant + std::size_t{1}));
  std::deque<Time>& taken = taken_[call.tenant];
  while (!taken.empty() && now - taken.front() > 60s) taken.pop_front();
  if (taken.size() >= static_cast<std::size_t>(config_.limit)) return false;
  taken.push_back(now);
  return true;
}

}  // namespace orrery
