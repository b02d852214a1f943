#include "kernels/device/hopper.hpp"
#include "kernels/grouped_gemm/expert_tiles.cuh"
#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

// A tile: 128 rows of activations, 64 a warpgroup, by 256 rows of weights; 64 elements of k a step.
constexpr int kRows = 128, kWeights = 256, kStep = 64, kStages = 4;
constexpr unsigned kThreads = 256;
constexpr std::uint32_t kStageBytes = (kRows + kWeights) * kSlabRow, kTileBytes = kStages * kStageBytes;
constexpr std::uint32_t kPitch = (kWeights + 8) * 2;          ///< of results in shared memory
constexpr int kCopied = 32;                                    ///< rows that all threads copy at once, 16 bytes each

/// 64 rows of a warpgroup by 256 weights; of thread t: rows t / 4 % 8 + 16 (t / 32 % 4) and 8 further, columns
/// 2 (t % 4) and the next of every 8.
struct Sums {
  float half[2][kWeights / 16][4];

  DEVICE_FN void hold() {
    wgmma_hold(half[0]);
    wgmma_hold(half[1]);
  }
};

struct Operands {
  const Bf16 *w, *x;
  std::int64_t k;
  int weights;                                                 ///< rows of w that there are
  std::int32_t x_row[kRows / kCopied];                         ///< of the rows thread / 8 + 32 i; -1: none

  /// The step's elements of k of all rows; what there is not becomes zero. Rows of activations lie before the weights.
  DEVICE_FN void copy(int step, std::uint32_t to) const {
    const unsigned piece = thread_index() % 8, first = thread_index() / 8;
    const std::int64_t at = std::int64_t{step} * kStep + 8 * piece;
    const bool inside = at < k;
    DEVICE_UNROLL
    for (int i = 0; i < kRows / kCopied; ++i) {
      const bool there = inside && x_row[i] >= 0;
      copy_async16(to + slab_offset(first + kCopied * static_cast<unsigned>(i), piece),
                   there ? x + x_row[i] * k + at : x, there ? 16 : 0);
    }
    DEVICE_UNROLL
    for (int i = 0; i < kWeights / kCopied; ++i) {
      const unsigned row = first + kCopied * static_cast<unsigned>(i);
      const bool there = inside && static_cast<int>(row) < weights;
      copy_async16(to + kRows * kSlabRow + slab_offset(row, piece), there ? w + static_cast<int>(row) * k + at : w,
                   there ? 16 : 0);
    }
  }
};

/// Copies run two steps ahead of the products, and the products of one step beside those of the next: a stage is
/// written again when all threads have waited for the products that read it.
DEVICE_FN void multiply(const Operands& operands, Sums& sums) {
  const int steps = static_cast<int>((operands.k + kStep - 1) / kStep);
  const auto stage = [](int step) { return static_cast<std::uint32_t>(step % kStages) * kStageBytes; };
  const std::uint32_t mine = warp_index() / 4 * 64 * kSlabRow;   // this warpgroup's rows
  DEVICE_UNROLL
  for (int h = 0; h < 2; ++h) {
    DEVICE_UNROLL
    for (int j = 0; j < kWeights / 16; ++j) {
      DEVICE_UNROLL
      for (int e = 0; e < 4; ++e) sums.half[h][j][e] = 0;
    }
  }
  sync_threads();                                              // the results of the tile before have been read
  for (int s = 0; s < 2; ++s) {
    if (s < steps) operands.copy(s, stage(s));
    copy_async_commit();
  }
  DEVICE_NO_UNROLL
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<1>();
    fence_async();
    sync_threads();
    if (step + 2 < steps) operands.copy(step + 2, stage(step + 2));
    copy_async_commit();
    const std::uint64_t x = matrix_descriptor(stage(step) + mine);
    const std::uint64_t w = matrix_descriptor(stage(step) + kRows * kSlabRow);
    sums.hold();
    wgmma_fence();
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kStep / 16; ++i) {
      wgmma_keys<128>(sums.half[0], advanced(x, 32 * i), advanced(w, 32 * i), true);
      wgmma_keys<128>(sums.half[1], advanced(x, 32 * i), advanced(w, 32 * i + 128 * kSlabRow), true);
    }
    wgmma_commit();
    wgmma_wait<1>();
    sums.hold();
  }
  wgmma_wait<0>();
  sums.hold();
  copy_async_wait<0>();
}

/// Results, rounded, by way of shared memory to the rows [first, first + rows) of y, 16 bytes a thread.
DEVICE_FN void store(const Sums& sums, const GroupedGemmArgs<Bf16>& a, std::int64_t first, int rows, std::int64_t n0,
                     int weights) {
  sync_threads();
  const unsigned row = warp_index() * 16 + lane_index() / 4, column = lane_index() % 4 * 2;
  DEVICE_UNROLL
  for (unsigned h = 0; h < 2; ++h) {
    DEVICE_UNROLL
    for (unsigned j = 0; j < kWeights / 16; ++j) {
      DEVICE_UNROLL
      for (unsigned e = 0; e < 2; ++e) {
        shared_store<std::uint32_t>((row + 8 * e) * kPitch + 2 * (128 * h + 8 * j + column),
                                    pack_bf16(sums.half[h][j][2 * e], sums.half[h][j][2 * e + 1]));
      }
    }
  }
  sync_threads();
  constexpr unsigned kPieces = kWeights / 8;
  for (unsigned i = thread_index(); i < static_cast<unsigned>(rows) * kPieces; i += kThreads) {
    const unsigned m = i / kPieces, n = i % kPieces * 8;
    if (static_cast<int>(n) < weights) {
      store8(a.y + (first + static_cast<std::int64_t>(m)) * a.n + n0 + n, shared_load<Vec4>(m * kPitch + 2 * n));
    }
  }
}

DEVICE_KERNEL(kThreads, 1) warpgroups_kernel(GroupedGemmArgs<Bf16> a) {
  const auto n_tiles = static_cast<std::int32_t>((a.n + kWeights - 1) / kWeights);
  count_tiles(a.offsets, a.experts, kRows, n_tiles, kTileBytes);
  const std::int32_t all = shared_load<std::int32_t>(kTileBytes + 4 * static_cast<std::uint32_t>(a.experts));
  for (auto t = static_cast<std::int32_t>(block_index()); t < all; t += static_cast<std::int32_t>(grid_size())) {
    const auto [expert, first, rows, n_tile] = expert_tile(t, a.offsets, a.experts, kRows, kTileBytes);
    const std::int64_t n0 = std::int64_t{n_tile} * kWeights;
    Operands operands{a.w + (expert * a.n + n0) * a.k, a.x, a.k,
                      a.n - n0 < kWeights ? static_cast<int>(a.n - n0) : kWeights, {}};
    DEVICE_UNROLL
    for (int i = 0; i < kRows / kCopied; ++i) {
      const std::int32_t row = static_cast<std::int32_t>(thread_index() / 8) + kCopied * i;
      operands.x_row[i] = row >= rows ? -1 : a.source ? global_load(a.source + first + row) / a.top_k : first + row;
    }
    Sums sums;
    multiply(operands, sums);
    store(sums, a, first, rows, n0, operands.weights);
  }
}

}  // namespace

void grouped_gemm_warpgroups(const GroupedGemmArgs<Bf16>& a, int processors, Stream stream) {
  launch(warpgroups_kernel, {.grid = {static_cast<unsigned>(processors)}, .threads = kThreads,
                             .shared_bytes = kTileBytes + 4 * (static_cast<std::uint32_t>(a.experts) + 1)}, stream, a);
}

}  // namespace orrery::ORRERY_GPU
