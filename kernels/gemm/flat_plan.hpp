/// How a flat product is divided over a GPU: tiles of 128 weights, their k in `splits` parts where tiles are too few to
/// keep memory busy. Pure arithmetic.
///
///   FlatPlan plan = flat_plan(16, 4096, 4096, 132);       // m, n, k, processors
#pragma once

#include <cstdint>

namespace orrery {

struct FlatPlan {
  std::int32_t columns = 8;            ///< m, padded to a multiple of 8
  std::int32_t tiles = 1;              ///< of 128 weight rows
  std::int32_t splits = 1;             ///< of k
  std::int32_t k_part = 0;             ///< elements of k of a split, a multiple of 64
  std::int64_t partials = 0;           ///< floats of partial sums; 0 = not split
};

/// Two tiles a processor, as far as a part keeps 512 elements of k and the partial sums, written and read in float,
/// stay below a quarter of the weights' bytes: splits * m * 8 <= k / 2.
FlatPlan flat_plan(std::int64_t m, std::int64_t n, std::int64_t k, std::int32_t units);

}  // namespace orrery
