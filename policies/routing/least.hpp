/// The station with the smallest score; of equal ones, the first after `start`, so that ties do not all land on
/// station 0. O(stations).
///
///   return least(view.stations, view.routed, [](const StationLoad& s) { return s.calls; });
#pragma once

#include <cstdint>
#include <span>

#include "sim/policy.hpp"

namespace orrery {

template <class Score>
StationId least(std::span<const StationLoad> stations, std::uint64_t start, Score score) {
  const std::size_t n = stations.size();
  std::size_t best = start % n;
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t other = (start + i) % n;
    if (score(stations[other]) < score(stations[best])) best = other;
  }
  return StationId{static_cast<std::int32_t>(best)};
}

}  // namespace orrery
