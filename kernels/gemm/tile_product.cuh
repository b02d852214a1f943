/// The product of 128 rows of weights and up to 128 rows of activations on the tensor cores (mma.sync, sm_80), by one
/// block of four warps; behind the flat product and the grouped one.
///
///   TileProduct<16, 4, 1> tile;                       // 16 activation rows; warps divide the weights by 4, them by 1
///   tile.multiply(w, w_rows, k, x_row, x, ldx, k_begin, k_end);
///   tile.stage();  ...                                // then y in shared memory, 8 columns at a time: result(row, n)
///
/// Weights are the left operand (16 rows an instruction), so that few activations are padded to 8 rows only, as in
/// FlashDecoding++ (section 4). 64 elements of k a step, kStages steps in flight (cp.async). A row in shared memory is
/// 128 bytes, its 16-byte pieces permuted by row % 8, which keeps ldmatrix free of bank conflicts. A result does not
/// depend on the other rows: its products are added along k in the order of the instructions.
#pragma once

#include "kernels/device/vector.hpp"

namespace orrery::ORRERY_GPU {

inline constexpr int kTileWeights = 128;              ///< weight rows of a tile
inline constexpr unsigned kTileThreads = 128;
inline constexpr int kTileStep = 64;                  ///< elements of k

/// kColumns: activation rows, a multiple of 8. kWarpsN * kWarpsM = 4.
template <int kColumns, int kWarpsN, int kWarpsM>
struct TileProduct {
  static constexpr int kStages = kColumns > 64 ? 3 : 4;
  static constexpr std::uint32_t kStageBytes = (kTileWeights + kColumns) * 128;
  static constexpr std::uint32_t kSharedBytes = kStages * kStageBytes;
  static constexpr int kRowTiles = kTileWeights / 16 / kWarpsN, kColumnTiles = kColumns / 8 / kWarpsM;
  static constexpr int kWeightRows = kTileWeights / 16, kActivationRows = (kColumns + 15) / 16;   ///< a thread copies
  static constexpr std::uint32_t kResultPitch = (kTileWeights + 8) * 2;

  float sum[kRowTiles][kColumnTiles][4];              ///< weight row g or g + 8, activation row 2 t or 2 t + 1

  /// Where piece `piece` of a row lies.
  DEVICE_FN static std::uint32_t place(unsigned row, unsigned piece) { return row * 128 + ((piece ^ (row & 7)) << 4); }

  /// Rows of w from `w` on, w_rows of them; row j of the activations is row x_row[j / 16] of x for this thread, or
  /// none if negative: the thread copies the rows j = thread / 8 + 16 i. k_begin, k_end: multiples of 8.
  DEVICE_FN void multiply(const Bf16* w, int w_rows, std::int64_t k, const std::int32_t (&x_row)[kActivationRows],
                          const Bf16* x, std::int64_t ldx, int k_begin, int k_end) {
    DEVICE_UNROLL
    for (int i = 0; i < kRowTiles; ++i) {
      DEVICE_UNROLL
      for (int j = 0; j < kColumnTiles; ++j) {
        DEVICE_UNROLL
        for (int e = 0; e < 4; ++e) sum[i][j][e] = 0;
      }
    }
    const int steps = (k_end - k_begin + kTileStep - 1) / kTileStep;
    const auto load = [&](int step) {
      if (step < steps) {
        copy_rows(w, w_rows, k, x_row, x, ldx, k_begin + step * kTileStep, k_end,
                  static_cast<std::uint32_t>(step % kStages) * kStageBytes);
      }
      copy_async_commit();
    };
    sync_threads();                                   // shared memory may still be read from the tile before
    for (int s = 0; s < kStages - 1; ++s) load(s);
    DEVICE_NO_UNROLL
    for (int step = 0; step < steps; ++step) {
      copy_async_wait<kStages - 2>();
      sync_threads();
      load(step + kStages - 1);
      multiply_step(static_cast<std::uint32_t>(step % kStages) * kStageBytes);
    }
    copy_async_wait<0>();
  }

  /// Sums, rounded, to shared memory: row j of the activations with its results for the 128 weights.
  DEVICE_FN void stage() const {
    sync_threads();
    const unsigned lane = lane_index(), warp = warp_index();
    const unsigned n0 = warp / kWarpsM * kRowTiles * 16 + lane / 4,
                   m0 = warp % kWarpsM * kColumnTiles * 8 + lane % 4 * 2;
    DEVICE_UNROLL
    for (int i = 0; i < kRowTiles; ++i) {
      DEVICE_UNROLL
      for (int j = 0; j < kColumnTiles; ++j) {
        DEVICE_UNROLL
        for (int e = 0; e < 4; ++e) {
          const unsigned n = n0 + static_cast<unsigned>(16 * i + 8 * (e / 2)),
                         m = m0 + static_cast<unsigned>(8 * j + e % 2);
          shared_store<std::uint16_t>(m * kResultPitch + 2 * n, static_cast<std::uint16_t>(pack_bf16(sum[i][j][e], 0)));
        }
      }
    }
    sync_threads();
  }
  /// Eight staged results: activation row m, weights [n, n + 8).
  DEVICE_FN static Vec4 result(unsigned m, unsigned n) { return shared_load<Vec4>(m * kResultPitch + 2 * n); }

 private:
  DEVICE_FN static void copy_rows(const Bf16* w, int w_rows, std::int64_t k,
                                  const std::int32_t (&x_row)[kActivationRows], const Bf16* x, std::int64_t ldx,
                                  int k_at, int k_end, std::uint32_t to) {
    const unsigned piece = thread_index() % 8, first = thread_index() / 8;
    const int at = k_at + static_cast<int>(piece) * 8;
    const bool inside = at < k_end;
    DEVICE_UNROLL
    for (int i = 0; i < kWeightRows; ++i) {
      const unsigned row = first + 16 * static_cast<unsigned>(i);
      const bool there = inside && static_cast<int>(row) < w_rows;
      copy_async16(to + place(row, piece), there ? w + static_cast<int>(row) * k + at : w, there ? 16 : 0);
    }
    DEVICE_UNROLL
    for (int i = 0; i < kActivationRows; ++i) {
      const unsigned row = first + 16 * static_cast<unsigned>(i);
      if (kColumns % 16 != 0 && row >= kColumns) continue;
      const bool there = inside && x_row[i] >= 0;
      copy_async16(to + place(kTileWeights + row, piece), there ? x + x_row[i] * ldx + at : x, there ? 16 : 0);
    }
  }

  DEVICE_FN void multiply_step(std::uint32_t from) {
    const unsigned lane = lane_index(), warp = warp_index();
    const unsigned w0 = warp / kWarpsM * kRowTiles * 16 + lane % 16;
    const unsigned x0 = kTileWeights + warp % kWarpsM * kColumnTiles * 8 + lane % 8;
    DEVICE_UNROLL
    for (unsigned half = 0; half < 2; ++half) {       // 32 elements of k: two instructions
      std::uint32_t a[2][kRowTiles][4];
      DEVICE_UNROLL
      for (unsigned s = 0; s < 2; ++s) {
        DEVICE_UNROLL
        for (int i = 0; i < kRowTiles; ++i)
          ldmatrix(a[s][i], from + place(w0 + 16 * static_cast<unsigned>(i), half * 4 + s * 2 + lane / 16));
      }
      DEVICE_UNROLL
      for (int j = 0; j < kColumnTiles; ++j) {
        std::uint32_t b[4];
        ldmatrix(b, from + place(x0 + 8 * static_cast<unsigned>(j), half * 4 + lane / 8));
        DEVICE_UNROLL
        for (int i = 0; i < kRowTiles; ++i) mma_bf16(sum[i][j], a[0][i], b[0], b[1]);
        DEVICE_UNROLL
        for (int i = 0; i < kRowTiles; ++i) mma_bf16(sum[i][j], a[1][i], b[2], b[3]);
      }
    }
  }
};

}  // namespace orrery::ORRERY_GPU
