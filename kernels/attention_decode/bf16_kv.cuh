/// Paged bf16 keys and values as a format of the decode kernel: a step's rows are copied to shared memory as they are
/// and read as fragments by ldmatrix.
#pragma once

#include "kernels/common/attention_mma.cuh"

namespace orrery::ORRERY_GPU {

template <int kHeadDim>
struct Bf16Kv {
  static constexpr int kKeys = 2048 / kHeadDim;                       ///< of a step: 4 KB of keys, 4 KB of values
  static constexpr int kStages = 3;                                   ///< two blocks a processor, 128 KB on their way
  static constexpr std::uint32_t kTileBytes = kKeys * kHeadDim * 2, kStageBytes = 2 * kTileBytes;
  static constexpr std::uint32_t kWarpBytes = kStages * kStageBytes;
  static constexpr bool kHasTail = false, kUnifiedMaximum = true;

  SequenceKv<Bf16> in;

  static constexpr int query_channel(int k, int quad, int half) { return k * 16 + half * 8 + quad * 2; }
  DEVICE_FN static std::uint32_t query(std::uint32_t pair) { return pair; }
  DEVICE_FN std::int32_t streamed_end(std::int32_t, std::int32_t end) const { return end; }
  DEVICE_FN float key_scale() const { return 1; }
  DEVICE_FN float value_scale() const { return 1; }

  /// What must be read before a step can be fetched: lane i knows where its key i lies.
  struct Ahead {
    std::int32_t slot;
  };
  DEVICE_FN Ahead look_up(std::int32_t first) const {
    const auto lane = static_cast<std::int32_t>(lane_index());
    return {lane < kKeys ? in.slot(first + lane) : -1};
  }
  DEVICE_FN void fetch(std::uint32_t at, std::int32_t, Ahead ahead) const {
    constexpr unsigned kChunks = kHeadDim / 8, kRows = 32 / kChunks;  // of a row; rows taken at once
    const unsigned chunk = lane_index() % kChunks;
    DEVICE_UNROLL
    for (unsigned i = 0; i < kKeys / kRows; ++i) {
      const unsigned row = i * kRows + lane_index() / kChunks;
      const std::int32_t slot = shuffle(ahead.slot, row);
      const std::int64_t from = in.element(slot) + chunk * 8;
      const std::uint32_t to = at + chunk_offset<kHeadDim>(row, chunk), valid = slot < 0 ? 0 : 16;
      copy_async16(to, in.kv.k + from, valid);
      copy_async16(to + kTileBytes, in.kv.v + from, valid);
    }
  }
  /// s += q k.
  DEVICE_FN void scores(std::uint32_t at, const std::uint32_t (&q)[kHeadDim / 16][4],
                        float (&s)[kKeys / 8][4]) const {
    const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kHeadDim / 16; ++k) {
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kKeys / 16; ++j) {
        std::uint32_t b[4];
        ldmatrix(b, at + chunk_offset<kHeadDim>(j * 16 + matrix / 2 * 8 + row, k * 2 + matrix % 2));
        mma_bf16(s[2 * j], q[k], b[0], b[1]);
        mma_bf16(s[2 * j + 1], q[k], b[2], b[3]);
      }
    }
  }
  /// o += p v.
  DEVICE_FN void values(std::uint32_t at, const float (&p)[kKeys / 8][4],
                        float (&o)[kHeadDim / 8][4]) const {
    const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kKeys / 16; ++k) {
      const std::uint32_t a[4] = {pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
                                  pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]),
                                  pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kHeadDim / 16; ++j) {
        std::uint32_t b[4];
        ldmatrix_transposed(b, at + kTileBytes + chunk_offset<kHeadDim>(k * 16 + matrix % 2 * 8 + row,
                                                                        j * 2 + matrix / 2));
        mma_bf16(o[2 * j], a, b[0], b[1]);
        mma_bf16(o[2 * j + 1], a, b[2], b[3]);
      }
    }
  }
  /// Row g (half 0) or g + 8 of o to shared memory, kHeadDim floats.
  DEVICE_FN static void store_output(std::uint32_t at, std::uint32_t half, const float (&o)[kHeadDim / 8][4]) {
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kHeadDim / 8; ++j) {
      shared_store<Vec2>(at + (j * 8 + lane_index() % 4 * 2) * 4,
                         {{float_to_bits(o[j][half * 2]), float_to_bits(o[j][half * 2 + 1])}});
    }
  }
};

}  // namespace orrery::ORRERY_GPU
