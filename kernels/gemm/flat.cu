#include "kernels/device/require.hpp"
#include "kernels/gemm/gemm_gpu.hpp"
#include "kernels/gemm/tile_product.cuh"

namespace orrery::ORRERY_GPU {
namespace {

/// Adds the parts of all splits in their order, if this block is the last of its tile to come. False for the others.
template <class Tile>
DEVICE_FN bool gather(Tile& tile, const FlatSpace& space, unsigned at, unsigned tiles, unsigned splits) {
  constexpr unsigned kSums = Tile::kRowTiles * Tile::kColumnTiles * 4;
  const auto part = [&](unsigned split) {
    return space.partials + (std::int64_t{split} * tiles + at) * (kSums * kTileThreads) + thread_index();
  };
  float* const mine = part(block_index_y());
  DEVICE_UNROLL
  for (unsigned i = 0; i < kSums; ++i) {
    global_store(mine + i * kTileThreads, tile.sum[i / 4 / Tile::kColumnTiles][i / 4 % Tile::kColumnTiles][i % 4]);
  }
  memory_fence();
  sync_threads();
  if (thread_index() == 0) shared_store<std::uint32_t>(0, atomic_add(space.arrived + at, 1u));
  sync_threads();
  if (shared_load<std::uint32_t>(0) != splits - 1) return false;
  memory_fence();
  if (thread_index() == 0) global_store(space.arrived + at, 0u);
  DEVICE_UNROLL
  for (unsigned i = 0; i < kSums; ++i) {
    float all = 0;
    for (unsigned split = 0; split < splits; ++split) all += global_load(part(split) + i * kTileThreads);
    tile.sum[i / 4 / Tile::kColumnTiles][i / 4 % Tile::kColumnTiles][i % 4] = all;
  }
  return true;
}

/// Block (tile, split).
template <int kColumns>
DEVICE_KERNEL(kTileThreads, kColumns <= 32 ? 3 : 2) flat_kernel(GemmArgs<Bf16> a, FlatPlan plan, FlatSpace space) {
  using Tile = TileProduct<kColumns, 4, 1>;
  Tile tile;
  const unsigned at = block_index();
  const std::int64_t n0 = std::int64_t{at} * kTileWeights;
  const int k_begin = static_cast<int>(block_index_y()) * plan.k_part;
  const int k_end = k_begin + plan.k_part < a.k ? k_begin + plan.k_part : static_cast<int>(a.k);
  const int weights = a.n - n0 < kTileWeights ? static_cast<int>(a.n - n0) : kTileWeights;
  std::int32_t x_row[Tile::kActivationRows];
  DEVICE_UNROLL
  for (int i = 0; i < Tile::kActivationRows; ++i) {
    const int row = static_cast<int>(thread_index() / 8) + 16 * i;
    x_row[i] = row < a.m ? row : -1;
  }
  tile.multiply(a.w + n0 * a.k, weights, a.k, x_row, a.x, a.ldx, k_begin, k_end);
  if (plan.splits > 1) {
    sync_threads();
    if (!gather(tile, space, at, static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.splits))) return;
  }
  tile.stage();
  for (unsigned i = thread_index(); i < static_cast<unsigned>(a.m) * 16; i += kTileThreads) {
    const unsigned m = i / 16, n = i % 16 * 8;
    if (static_cast<int>(n) >= weights) continue;
    Vec4 result = Tile::result(m, n);
    Bf16* y = a.y + m * a.ldy + n0 + n;
    if (a.accumulate) {
      float sum[8], before[8];
      unpack(result, sum);
      unpack(load8(y), before);
      DEVICE_UNROLL
      for (int c = 0; c < 8; ++c) sum[c] += before[c];
      result = pack(sum);
    }
    store8(y, result);
  }
}

template <int kColumns>
void launch_flat(const GemmArgs<Bf16>& a, const FlatPlan& plan, const FlatSpace& space, Stream stream) {
  launch(flat_kernel<kColumns>,
         {.grid = {static_cast<unsigned>(plan.tiles), static_cast<unsigned>(plan.splits)}, .threads = kTileThreads,
          .shared_bytes = TileProduct<kColumns, 4, 1>::kSharedBytes}, stream, a, plan, space);
}

}  // namespace

void gemm_flat(const GemmArgs<Bf16>& args, const FlatPlan& plan, const FlatSpace& space, Stream stream) {
  GemmArgs<Bf16> a = args;
  if (!a.ldx) a.ldx = a.k;
  if (!a.ldy) a.ldy = a.n;
  require(a.m >= 0 && a.m <= kMostFlatRows && plan.columns == (a.m + 7) / 8 * 8,
          "gemm_flat: m: expected at most 64, and the plan's");
  require(a.k % 8 == 0 && a.n % 8 == 0 && a.ldx % 8 == 0 && a.ldy % 8 == 0,
          "gemm_flat: k, n, ldx, ldy: expected multiples of 8");
  switch (plan.columns / 8) {
    case 1: return launch_flat<8>(a, plan, space, stream);
    case 2: return launch_flat<16>(a, plan, space, stream);
    case 3: return launch_flat<24>(a, plan, space, stream);
    case 4: return launch_flat<32>(a, plan, space, stream);
    case 5: return launch_flat<40>(a, plan, space, stream);
    case 6: return launch_flat<48>(a, plan, space, stream);
    case 7: return launch_flat<56>(a, plan, space, stream);
    case 8: return launch_flat<64>(a, plan, space, stream);
    default: return;
  }
}

}  // namespace orrery::ORRERY_GPU
