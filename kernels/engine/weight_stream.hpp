/// The numbers of one seeded tensor: element i is centre + width (u - 1/2), u the i-th uniform number of the stream
/// (seed, tensor), rounded to float and then to the tensor's format.
///
///   WeightStream s = matrix_stream(1, 0, 4096);      // seed 1, tensor 0: variance 1 / 4096
#pragma once

#include <cmath>
#include <cstdint>

#include "sim/base/rng.hpp"

namespace orrery {

struct WeightStream {
  std::uint64_t key = 0;             ///< of Rng(seed, Purpose::kWeights, tensor)
  double centre = 0, width = 1;
};

constexpr std::uint64_t weight_key(std::uint64_t seed, std::uint64_t tensor) {
  return hash_combine(mix64(seed + 0x9e3779b97f4a7c15ull * static_cast<std::uint32_t>(Purpose::kWeights)), tensor);
}
inline WeightStream matrix_stream(std::uint64_t seed, std::uint64_t tensor, std::int64_t columns) {
  return {weight_key(seed, tensor), 0, std::sqrt(12.0 / static_cast<double>(columns))};
}
inline WeightStream norm_stream(std::uint64_t seed, std::uint64_t tensor) { return {weight_key(seed, tensor), 1, 0.2}; }

}  // namespace orrery
