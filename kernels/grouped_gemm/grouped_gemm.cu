#include "kernels/device/require.hpp"
#include "kernels/gemm/tile_product.cuh"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kBlocks = 2;                  ///< on a processor

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

template <int kColumns, int kWarpsN, int kWarpsM>
DEVICE_KERNEL(kTileThreads, kBlocks) grouped_kernel(GroupedGemmArgs<Bf16> a) {
  using Tile = TileProduct<kColumns, kWarpsN, kWarpsM>;
  Tile tile;
  const auto n_tiles = static_cast<std::int32_t>((a.n + kTileWeights - 1) / kTileWeights);
  count_tiles(a.offsets, a.experts, kColumns, n_tiles, Tile::kSharedBytes);
  const std::int32_t all = shared_load<std::int32_t>(Tile::kSharedBytes + 4 * static_cast<std::uint32_t>(a.experts));
  for (auto t = static_cast<std::int32_t>(block_index()); t < all; t += static_cast<std::int32_t>(grid_size())) {
    const std::int32_t expert = expert_of(t, a.experts, Tile::kSharedBytes);
    const std::int32_t within =
        t - shared_load<std::int32_t>(Tile::kSharedBytes + 4 * static_cast<std::uint32_t>(expert));
    const std::int32_t begin = global_load(a.offsets + expert), rows = global_load(a.offsets + expert + 1) - begin;
    const std::int32_t m_tiles = (rows + kColumns - 1) / kColumns;
    const std::int32_t first = begin + within % m_tiles * kColumns;          // row of y
    const std::int32_t here = begin + rows - first < kColumns ? begin + rows - first : kColumns;
    const std::int64_t n0 = std::int64_t{within / m_tiles} * kTileWeights;
    const int weights = a.n - n0 < kTileWeights ? static_cast<int>(a.n - n0) : kTileWeights;
    std::int32_t x_row[Tile::kActivationRows];
    DEVICE_UNROLL
    for (int i = 0; i < Tile::kActivationRows; ++i) {
      const std::int32_t row = static_cast<std::int32_t>(thread_index() / 8) + 16 * i;
      x_row[i] = row >= here ? -1 : a.source ? global_load(a.source + first + row) / a.top_k : first + row;
    }
    tile.multiply(a.w + (expert * a.n + n0) * a.k, weights, a.k, x_row, a.x, a.k, 0, static_cast<int>(a.k));
    tile.stage();
    for (unsigned i = thread_index(); i < static_cast<unsigned>(here) * 16; i += kTileThreads) {
      const unsigned m = i / 16, n = i % 16 * 8;
      if (static_cast<int>(n) < weights)
        store8(a.y + (first + static_cast<std::int64_t>(m)) * a.n + n0 + n, Tile::result(m, n));
    }
  }
}

template <int kColumns, int kWarpsN, int kWarpsM>
void launch_grouped(const GroupedGemmArgs<Bf16>& a, int processors, Stream stream) {
  using Tile = TileProduct<kColumns, kWarpsN, kWarpsM>;
  launch(grouped_kernel<kColumns, kWarpsN, kWarpsM>,
         {.grid = {kBlocks * static_cast<unsigned>(processors)}, .threads = kTileThreads,
          .shared_bytes = Tile::kSharedBytes + 4 * (static_cast<std::uint32_t>(a.experts) + 1)}, stream, a);
}

}  // namespace

void grouped_gemm(const GroupedGemmArgs<Bf16>& a, std::int64_t assignments, int processors, Stream stream) {
  require(a.n % 8 == 0 && a.k % 8 == 0, "grouped_gemm: n, k: expected multiples of 8");
  require(a.experts > 0 && a.experts <= 256, "grouped_gemm: experts: expected 1 to 256");
  if (assignments == 0) return;
  const std::int64_t mean = assignments / a.experts;       // rows an expert; the tile has at least half as many
  if (mean <= 16) launch_grouped<16, 4, 1>(a, processors, stream);
  else if (mean <= 96) launch_grouped<64, 4, 1>(a, processors, stream);
  else launch_grouped<128, 2, 2>(a, processors, stream);
}

}  // namespace orrery::ORRERY_GPU
