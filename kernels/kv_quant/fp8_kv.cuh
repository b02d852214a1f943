/// Paged e4m3 keys and values as a format of the decode kernel. The products are in f16: e4m3 shifted into the bits of
/// an f16 is the number times 2^-8, exactly, and the factor goes into the scales. Queries are rounded to f16, so they
/// must be below 65504.
///
/// The sums over channels and the output's channels are taken in an order of our own, so that a lane reads what it
/// needs in words: of keys 16 bytes (four steps of the product), of values 4 bytes a key.
#pragma once

#include "kernels/common/attention_mma.cuh"

namespace orrery::ORRERY_GPU {

template <int kHeadDim>
struct Fp8Kv {
  static constexpr int kKeys = 32, kStages = kHeadDim == 128 ? 3 : 4;
  static constexpr std::uint32_t kTileBytes = kKeys * kHeadDim, kStageBytes = 2 * kTileBytes;
  static constexpr std::uint32_t kWarpBytes = kStages * kStageBytes, kChunks = kHeadDim / 16;
  static constexpr bool kHasTail = false, kUnifiedMaximum = false;   ///< weights in f16 need their own maximum

  SequenceKv<Fp8> in;
  float k_scale, v_scale;

  DEVICE_FN float key_scale() const { return k_scale * 256; }
  DEVICE_FN float value_scale() const { return v_scale * 256; }
  DEVICE_FN std::int32_t streamed_end(std::int32_t, std::int32_t end) const { return end; }
  static constexpr int query_channel(int k, int quad, int half) {
    return k / 4 * 64 + quad * 16 + k % 4 * 4 + half * 2;
  }
  DEVICE_FN static std::uint32_t query(std::uint32_t pair) {
    return pack_f16(bits_to_float(pair << 16), bits_to_float(pair & 0xffff0000u));
  }

  /// Rows of keys lie so that two rows, and rows of values so that every second of eight, fall into different banks.
  DEVICE_FN static std::uint32_t key_offset(std::uint32_t row, std::uint32_t chunk) {
    return row * kHeadDim + ((kHeadDim == 128 ? chunk ^ (row & 1) << 2 : chunk) << 4);
  }
  DEVICE_FN static std::uint32_t value_offset(std::uint32_t row, std::uint32_t chunk) {
    return kTileBytes + row * kHeadDim + ((chunk ^ ((row >> 1) % (kChunks / 2)) << 1) << 4);
  }

  struct Ahead {
    std::int32_t slot;
  };
  DEVICE_FN Ahead look_up(std::int32_t first) const {
    return {in.slot(first + static_cast<std::int32_t>(lane_index()))};
  }
  DEVICE_FN void fetch(std::uint32_t at, std::int32_t, Ahead ahead) const {
    const unsigned chunk = lane_index() % kChunks;
    DEVICE_UNROLL
    for (unsigned turn = 0; turn < kChunks; ++turn) {
      const unsigned row = turn * (32 / kChunks) + lane_index() / kChunks;
      const std::int32_t slot = shuffle(ahead.slot, row);
      const std::int64_t from = in.element(slot) + chunk * 16;
      copy_async16(at + key_offset(row, chunk), in.kv.k + from, slot < 0 ? 0 : 16);
      copy_async16(at + value_offset(row, chunk), in.kv.v + from, slot < 0 ? 0 : 16);
    }
  }

  /// Two e4m3 in the high bytes of the halves, as f16 times 2^-8.
  DEVICE_FN static std::uint32_t widened(std::uint32_t x) { return (x & 0x80008000u) | (x >> 1 & 0x3f803f80u); }

  DEVICE_FN void scores(std::uint32_t at, const std::uint32_t (&q)[kHeadDim / 16][4],
                        float (&s)[kKeys / 8][4]) const {
    const std::uint32_t g = lane_index() / 4, quad = lane_index() % 4;
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kKeys / 8; ++j) {
      DEVICE_UNROLL
      for (std::uint32_t i = 0; i < kHeadDim / 64; ++i) {
        const Vec4 x = shared_load<Vec4>(at + key_offset(j * 8 + g, i * 4 + quad));
        DEVICE_UNROLL
        for (std::uint32_t k = 0; k < 4; ++k) {
          mma_f16(s[j], q[i * 4 + k], widened(byte_permute(x.w[k], 0, 0x1100)),
                  widened(byte_permute(x.w[k], 0, 0x3322)));
        }
      }
    }
  }
  DEVICE_FN void values(std::uint32_t at, const float (&p)[kKeys / 8][4], float (&o)[kHeadDim / 8][4]) const {
    const std::uint32_t g = lane_index() / 4, quad = lane_index() % 4;
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kKeys / 16; ++k) {
      const std::uint32_t a[4] = {pack_f16(p[2 * k][0], p[2 * k][1]), pack_f16(p[2 * k][2], p[2 * k][3]),
                                  pack_f16(p[2 * k + 1][0], p[2 * k + 1][1]),
                                  pack_f16(p[2 * k + 1][2], p[2 * k + 1][3])};
      DEVICE_UNROLL
      for (std::uint32_t jj = 0; jj < kHeadDim / 32; ++jj) {
        std::uint32_t x[4];                                          // of keys 2 quad, + 1, + 8, + 9: four channels
        DEVICE_UNROLL
        for (std::uint32_t i = 0; i < 4; ++i) {
          const std::uint32_t row = k * 16 + quad * 2 + i % 2 + i / 2 * 8;
          x[i] = shared_load<std::uint32_t>(at + value_offset(row, jj * 2 + g / 4) + g % 4 * 4);
        }
        DEVICE_UNROLL
        for (std::uint32_t e = 0; e < 4; ++e) {
          const std::uint32_t pick = e * 0x11 + (e + 4) * 0x1100;
          mma_f16(o[jj * 4 + e], a, widened(byte_permute(x[0], x[1], pick)), widened(byte_permute(x[2], x[3], pick)));
        }
      }
    }
  }
  /// Column c of tile 4 jj + e is channel 32 jj + 4 c + e.
  DEVICE_FN static void store_output(std::uint32_t at, std::uint32_t half, const float (&o)[kHeadDim / 8][4]) {
    DEVICE_UNROLL
    for (std::uint32_t jj = 0; jj < kHeadDim / 32; ++jj) {
      DEVICE_UNROLL
      for (std::uint32_t c = 0; c < 2; ++c) {
        const std::uint32_t i = half * 2 + c;
        shared_store<Vec4>(at + (jj * 32 + (lane_index() % 4 * 2 + c) * 4) * 4,
                           {{float_to_bits(o[jj * 4][i]), float_to_bits(o[jj * 4 + 1][i]),
                             float_to_bits(o[jj * 4 + 2][i]), float_to_bits(o[jj * 4 + 3][i])}});
      }
    }
  }
};

}  // namespace orrery::ORRERY_GPU
