#include "kernels/device/buffer.hpp"
#include "kernels/device/require.hpp"
#include "kernels/gemm/tile_product.cuh"
#include "kernels/grouped_gemm/expert_tiles.cuh"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kBlocks = 2;                  ///< on a processor

template <int kColumns, int kWarpsN, int kWarpsM>
DEVICE_KERNEL(kTileThreads, kBlocks) grouped_kernel(GroupedGemmArgs<Bf16> a) {
  using Tile = TileProduct<kColumns, kWarpsN, kWarpsM>;
  Tile tile;
  const auto n_tiles = static_cast<std::int32_t>((a.n + kTileWeights - 1) / kTileWeights);
  count_tiles(a.offsets, a.experts, kColumns, n_tiles, Tile::kSharedBytes);
  const std::int32_t all = shared_load<std::int32_t>(Tile::kSharedBytes + 4 * static_cast<std::uint32_t>(a.experts));
  for (auto t = static_cast<std::int32_t>(block_index()); t < all; t += static_cast<std::int32_t>(grid_size())) {
    const auto [expert, first, here, n_tile] = expert_tile(t, a.offsets, a.experts, kColumns, Tile::kSharedBytes);
    const std::int64_t n0 = std::int64_t{n_tile} * kTileWeights;
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

void grouped_gemm(const GroupedGemmArgs<Bf16>& a, std::int64_t assignments, int processors, Stream stream,
                  GroupedKernel kernel) {
  require(a.n % 8 == 0 && a.k % 8 == 0, "grouped_gemm: n, k: expected multiples of 8");
  require(a.experts > 0 && a.experts <= 256, "grouped_gemm: experts: expected 1 to 256");
  if (assignments == 0) return;
  const std::int64_t mean = assignments / a.experts;       // rows an expert
  const bool hopper = device_generation() / 10 == 9;
  if (kernel == GroupedKernel::kWarpgroups || (kernel == GroupedKernel::kAuto && hopper && mean > 96)) {
    require(hopper, "grouped_gemm: warpgroups: expected a device of sm_90a");
    return grouped_gemm_warpgroups(a, processors, stream);
  }
  if (mean <= 16) launch_grouped<16, 4, 1>(a, processors, stream);
  else if (mean <= 96) launch_grouped<64, 4, 1>(a, processors, stream);
  else launch_grouped<128, 2, 2>(a, processors, stream);
}

}  // namespace orrery::ORRERY_GPU
