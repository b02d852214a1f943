/// Which instances to clear away so that enough devices are free, at least cost: a 0/1 knapsack by dynamic programming
/// (ServerlessLLM, section 6.3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

struct Clearable {
  std::int32_t devices = 1;
  Duration cost{};             ///< to get its calls going elsewhere
};

struct CheapestSet {
  bool possible = false;
  Duration cost{};             ///< sum
  std::vector<std::size_t> members;   ///< ascending
};

/// The cheapest set with at least `need` devices; of equals, one without later members. O(candidates * need).
CheapestSet cheapest_set(std::span<const Clearable> candidates, std::int32_t need);

}  // namespace orrery
