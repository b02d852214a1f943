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

  SequenceKv<Bf16> in;

  static constexpr int query_channel(int k, int quad, int half) { return k * 16 + half * 8 + quad * 2; }
  DEVICE_FN static std::uint32_t query(std::uint32_t pair) { return pair; }
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
  /// s += q k over 16 channels.
  DEVICE_FN void scores(std::uint32_t at, int k_step, const std::uint32_t (&q)[4], float (&s)[kKeys / 8][4]) const {
    const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kKeys / 16; ++j) {
      std::uint32_t b[4];
      ldmatrix(b, at + chunk_offset<kHeadDim>(j * 16 + matrix / 2 * 8 + row,
                                              static_cast<std::uint32_t>(k_step) * 2 + matrix % 2));
      mma_bf16(s[2 * j], q, b[0], b[1]);
      mma_bf16(s[2 * j + 1], q, b[2], b[3]);
    }
  }
  /// o += p v.
  DEVICE_FN void values(std::uint32_t at, std::int32_t, const float (&p)[kKeys / 8][4],
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
};

}  // namespace orrery::ORRERY_GPU
