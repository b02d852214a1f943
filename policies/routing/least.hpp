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
  const std::size_t first = start % stations.size();
  std::size_t best = first;
  auto lowest = score(stations[first]);
  auto consider = [&](std::size_t i) {
    const auto s = score(stations[i]);
    if (s < lowest) lowest = s, best = i;
  };
  for (std::size_t i = first + 1; i < stations.size(); ++i) consider(i);
  for (std::size_t i = 0; i < first; ++i) consider(i);
  return StationId{static_cast<std::int32_t>(best)};
}

}  // namespace orrery
