#include "policies/serverless/random_placement.hpp"

namespace orrery {

void RandomPlacement::on_hold(CallId id, Cluster&, Rng rng) {
  if (draws_.size() <= id.index) draws_.resize(id.index + 1);
  draws_[id.index] = rng.next();
}

bool RandomPlacement::place_load(CallId id, Cluster& c) {
  std::vector<StationId> candidates;
  for (const Instance& x : instances(c))
    if (free(x)) candidates.push_back(x.station);
  const bool any_free = !candidates.empty();
  for (const Instance& x : instances(c))
    if (!any_free && warm(x)) candidates.push_back(x.station);
  if (candidates.empty()) return false;
  const StationId s = candidates[draws_[id.index] % candidates.size()];
  if (any_free) load(s, c.call(id).model, c);
  else reserve(s, c.call(id).model, c);
  return true;
}

}  // namespace orrery
