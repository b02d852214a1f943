/// Copies KV blocks within a pool (copy on write, compaction) or between two (swap out and in), for all tensors of the
/// pool in one call.
///
///   const std::int64_t pairs[] = {3, 7, 4, 9};                                // 3 -> 7, 4 -> 9
///   copy_blocks({.source = k_and_v_of_layers, .target = same, .tensors = 2 * layers, .pairs = pairs, .count = 2,
///       ...});
///
/// The copies happen in no order, as on a device: no block may be written twice, or both read and written if the pools
/// are the same. `first_conflict` finds such pairs.
#pragma once

#include <cstdint>
#include <span>

namespace orrery {

struct CopyBlocksArgs {
  const void* const* source = nullptr;   ///< (tensors) block b begins at byte b * block_bytes
  void* const* target = nullptr;         ///< (tensors)
  std::int32_t tensors = 0;
  const std::int64_t* pairs = nullptr;   ///< (count, 2) source block, target block
  std::int64_t count = 0;
  std::int64_t block_bytes = 0;
};

void copy_blocks(const CopyBlocksArgs& args);

/// Index of the first pair (source, target) that conflicts with another one, or -1. O(n log n).
std::int64_t first_conflict(std::span<const std::int64_t> pairs, bool same_pool);

}  // namespace orrery
