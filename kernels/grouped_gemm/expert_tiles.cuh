/// Which tile of a grouped product belongs to which expert, found on the device from the offsets; for kernels whose
/// blocks take tiles in turn.
///
///   count_tiles(offsets, experts, 128, n_tiles, at);      // all threads; at: (experts + 1) numbers of shared memory
///   const ExpertTile t = expert_tile(tile, offsets, experts, 128, at);
///
/// Tiles of one weight block come together, so that it is read from memory once.
#pragma once

#include "kernels/device/vector.hpp"

namespace orrery::ORRERY_GPU {

/// Tiles of all experts before each, from `at` in shared memory on: experts + 1 numbers, by the first warp.
DEVICE_FN void count_tiles(const std::int32_t* offsets, std::int32_t experts, std::int32_t columns,
                           std::int32_t n_tiles, std::uint32_t at) {
  if (warp_index() == 0) {
    std::int32_t before = 0;
    for (std::int32_t base = 0; base < experts; base += 32) {
      const std::int32_t e = base + static_cast<std::int32_t>(lane_index());
      const std::int32_t rows = e < experts ? global_load(offsets + e + 1) - global_load(offsets + e) : 0;
      const std::int32_t tiles = (rows + columns - 1) / columns * n_tiles;
      const std::int32_t first = before + warp_sum_before(tiles);
      if (e < experts) shared_store<std::int32_t>(at + 4 * static_cast<std::uint32_t>(e), first);
      before += warp_sum(tiles);
    }
    if (lane_index() == 0) shared_store<std::int32_t>(at + 4 * static_cast<std::uint32_t>(experts), before);
  }
  sync_threads();
}

/// The expert that a tile belongs to: the last with no more than `tile` tiles before it. Of equals (experts without
/// rows) the last is the one that has the tile.
DEVICE_FN std::int32_t expert_of(std::int32_t tile, std::int32_t experts, std::uint32_t at) {
  std::int32_t low = 0, high = experts;
  while (high - low > 1) {
    const std::int32_t middle = (low + high) / 2;
    (shared_load<std::int32_t>(at + 4 * static_cast<std::uint32_t>(middle)) <= tile ? low : high) = middle;
  }
  return low;
}

struct ExpertTile {
  std::int32_t expert;
  std::int32_t first, rows;            ///< rows of y
  std::int32_t n_tile;
};
DEVICE_FN ExpertTile expert_tile(std::int32_t tile, const std::int32_t* offsets, std::int32_t experts,
                                 std::int32_t columns, std::uint32_t at) {
  ExpertTile t;
  t.expert = expert_of(tile, experts, at);
  const std::int32_t within = tile - shared_load<std::int32_t>(at + 4 * static_cast<std::uint32_t>(t.expert));
  const std::int32_t begin = global_load(offsets + t.expert), rows = global_load(offsets + t.expert + 1) - begin;
  const std::int32_t m_tiles = (rows + columns - 1) / columns;
  t.first = begin + within % m_tiles * columns;
  t.rows = begin + rows - t.first < columns ? begin + rows - t.first : columns;
  t.n_tile = within / m_tiles;
  return t;
}

}  // namespace orrery::ORRERY_GPU
