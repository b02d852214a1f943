/// KIVI's quantised keys and values as a format of the decode kernel: a step is a page of 32 tokens. Codes become f16
/// as zero + scale * code, rounded once; products are in f16.
///
/// Keys are packed by channel, values by token, so in both a word holds the codes of eight (4 bits) or sixteen (2 bits)
/// columns of one row of the product's second factor: a lane reads the words of its two rows and picks its own column.
///
/// Pages that hold recent tokens, at the sequence's end, are the tail: each warp takes them one at a time, without
/// fetching ahead. There are at most residual / 32 + 1 of them.
#pragma once

#include "kernels/common/attention_mma.cuh"
#include "kernels/kv_quant/kivi.hpp"

namespace orrery::ORRERY_GPU {

template <int kHeadDim, int kBits>
struct KiviKv {
  static constexpr int kKeys = kKiviGroup, kStages = 4;
  static constexpr std::uint32_t kCodes = kKiviGroup * kHeadDim * kBits / 8, kKeyParams = kHeadDim * 2;
  static constexpr std::uint32_t kValueParams = kHeadDim * 2;         ///< 32 tokens, kHeadDim / 32 groups, 2 bytes
  /// Of a page in shared memory: codes, scales, zeros of the keys, then of the values.
  static constexpr std::uint32_t kKeyScale = kCodes, kKeyZero = kKeyScale + kKeyParams, kValue = kKeyZero + kKeyParams;
  static constexpr std::uint32_t kValueScale = kValue + kCodes, kValueZero = kValueScale + kValueParams;
  static constexpr std::uint32_t kStageBytes = kValueZero + kValueParams;
  static constexpr std::uint32_t kRecent = kKiviGroup * kHeadDim * 2;   ///< recent keys, and values, of a page
  static constexpr std::uint32_t kTailBytes = kStageBytes + 2 * kRecent;
  static constexpr std::uint32_t kWarpBytes = kStages * kStageBytes > kTailBytes ? kStages * kStageBytes : kTailBytes;
  static constexpr bool kHasTail = true, kUnifiedMaximum = false;
  static constexpr std::uint32_t kMask = ((1u << kBits) - 1) * 0x10001u;

  const KiviPool<Bf16>& pool;
  std::int32_t sequence, head;
  std::int32_t old_keys, old_values;         ///< tokens whose keys, values are quantised

  DEVICE_FN float key_scale() const { return 1; }
  DEVICE_FN float value_scale() const { return 1; }
  static constexpr int query_channel(int k, int quad, int half) { return k * 16 + half * 8 + quad * 2; }
  DEVICE_FN static std::uint32_t query(std::uint32_t pair) {
    return pack_f16(bits_to_float(pair << 16), bits_to_float(pair & 0xffff0000u));
  }
  DEVICE_FN std::int32_t streamed_end(std::int32_t begin, std::int32_t end) const {
    const std::int32_t whole = (old_keys < old_values ? old_keys : old_values) / kKiviGroup * kKiviGroup;
    return whole < begin ? begin : whole < end ? whole : end;
  }

  // --- fetching
  struct Ahead {
    std::int32_t page;
  };
  DEVICE_FN Ahead look_up(std::int32_t first) const {
    const std::int32_t index = first / kKiviGroup;
    return {index < pool.max_pages ? global_load(pool.table + std::int64_t{sequence} * pool.max_pages + index) : 0};
  }
  /// `bytes` (a multiple of 16) by the whole warp.
  DEVICE_FN static void fetch_part(std::uint32_t at, const void* from, std::uint32_t bytes) {
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < bytes; i += 512) {
      const std::uint32_t mine = i + lane_index() * 16;
      if (mine < bytes) copy_async16(at + mine, static_cast<const std::uint8_t*>(from) + mine);
    }
  }
  DEVICE_FN void fetch_keys(std::uint32_t at, std::int32_t page) const {
    const std::int64_t row = std::int64_t{page} * pool.kv_heads + head;
    fetch_part(at, pool.k_codes + row * kCodes, kCodes);
    fetch_part(at + kKeyScale, pool.k_scale + row * kHeadDim, kKeyParams);
    fetch_part(at + kKeyZero, pool.k_zero + row * kHeadDim, kKeyParams);
  }
  DEVICE_FN void fetch_values(std::uint32_t at, std::int32_t page) const {
    const std::int64_t row = std::int64_t{page} * pool.kv_heads + head;
    fetch_part(at + kValue, pool.v_codes + row * kCodes, kCodes);
    fetch_part(at + kValueScale, pool.v_scale + row * kHeadDim, kValueParams);
    fetch_part(at + kValueZero, pool.v_zero + row * kHeadDim, kValueParams);
  }
  DEVICE_FN void fetch(std::uint32_t at, std::int32_t, Ahead ahead) const {
    fetch_keys(at, ahead.page);
    fetch_values(at, ahead.page);
  }

  // --- dequantising
  /// Of the words of two rows, the codes of column 8 tile + g, as f16.
  DEVICE_FN static std::uint32_t codes(std::uint32_t first, std::uint32_t second, std::uint32_t tile, std::uint32_t g) {
    const std::uint32_t bit = kBits == 4 ? g * 4 : (tile % 2 * 8 + g) * 2, byte = bit / 8;
    const std::uint32_t both = byte_permute(first, second, byte | (byte + 4) << 8) >> bit % 8;
    return sub_f16x2((both & kMask) | 0x64006400u, 0x64006400u);       // 1024 + code, less 1024: exact
  }
  /// Word of tile `tile` among the words of a row.
  static constexpr std::uint32_t word(std::uint32_t tile) { return kBits == 4 ? tile : tile / 2; }

  DEVICE_FN void scores(std::uint32_t at, const std::uint32_t (&q)[kHeadDim / 16][4],
                        float (&s)[kKeys / 8][4]) const {
    const std::uint32_t g = lane_index() / 4, quad = lane_index() % 4;
    constexpr std::uint32_t kRow = kKiviGroup * kBits / 8;             // of a channel
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kHeadDim / 16; ++k) {
      std::uint32_t b[kKeys / 8][2];
      DEVICE_UNROLL
      for (std::uint32_t half = 0; half < 2; ++half) {
        const std::uint32_t channel = k * 16 + half * 8 + quad * 2;
        std::uint32_t x[2][kRow / 4];
        load_words(at + channel * kRow, x[0]);
        load_words(at + (channel + 1) * kRow, x[1]);
        const auto scale = shared_load<std::uint32_t>(at + kKeyScale + channel * 2);
        const auto zero = shared_load<std::uint32_t>(at + kKeyZero + channel * 2);
        DEVICE_UNROLL
        for (std::uint32_t j = 0; j < kKeys / 8; ++j) {
          b[j][half] = fma_f16x2(codes(x[0][word(j)], x[1][word(j)], j, g), scale, zero);
        }
      }
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kKeys / 8; ++j) mma_f16(s[j], q[k], b[j][0], b[j][1]);
    }
  }
  DEVICE_FN void values(std::uint32_t at, const float (&p)[kKeys / 8][4], float (&o)[kHeadDim / 8][4]) const {
    quantised_values(at, kKiviGroup, p, o);
  }
  /// Of the page's first `old` tokens only.
  DEVICE_FN void quantised_values(std::uint32_t at, std::int32_t old, const float (&p)[kKeys / 8][4],
                                  float (&o)[kHeadDim / 8][4]) const {
    const std::uint32_t g = lane_index() / 4, quad = lane_index() % 4;
    constexpr std::uint32_t kRow = kHeadDim * kBits / 8, kGroups = kHeadDim / kKiviGroup;   // of a token
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kKeys / 16; ++k) {
      std::uint32_t a[4];
      pack_p(p, k, a);
      DEVICE_UNROLL
      for (std::uint32_t pair = 0; pair < kGroups / 2; ++pair) {       // two groups of 32 channels at once
        std::uint32_t scale[4], zero[4], x[4][2 * kBits];
        DEVICE_UNROLL
        for (std::uint32_t i = 0; i < 4; ++i) {
          const std::uint32_t token = k * 16 + quad * 2 + i % 2 + i / 2 * 8;
          const bool real = static_cast<std::int32_t>(token) < old;
          const std::uint32_t params = (token * kGroups + pair * 2) * 2;
          scale[i] = shared_load<std::uint32_t>(at + kValueScale + params);
          zero[i] = shared_load<std::uint32_t>(at + kValueZero + params);
          if (!real) scale[i] = zero[i] = 0;                           // what is there is nobody's
          load_words(at + kValue + token * kRow + pair * (8 * kBits), x[i]);
        }
        DEVICE_UNROLL
        for (std::uint32_t j = 0; j < 8; ++j) {
          const std::uint32_t take = j / 4 ? 0x7632 : 0x5410;          // the group's half of the two words
          const std::uint32_t b0 = fma_f16x2(codes(x[0][word(j)], x[1][word(j)], j, g),
                                             byte_permute(scale[0], scale[1], take),
                                             byte_permute(zero[0], zero[1], take));
          const std::uint32_t b1 = fma_f16x2(codes(x[2][word(j)], x[3][word(j)], j, g),
                                             byte_permute(scale[2], scale[3], take),
                                             byte_permute(zero[2], zero[3], take));
          mma_f16(o[pair * 8 + j], a, b0, b1);
        }
      }
    }
  }
  /// 2, 4 or 8 words, aligned to their size up to 16 bytes.
  template <int kWords>
  DEVICE_FN static void load_words(std::uint32_t at, std::uint32_t (&x)[kWords]) {
    if constexpr (kWords == 2) {
      const Vec2 v = shared_load<Vec2>(at);
      x[0] = v.w[0];
      x[1] = v.w[1];
    } else {
      DEVICE_UNROLL
      for (std::uint32_t i = 0; i < kWords; i += 4) {
        const Vec4 v = shared_load<Vec4>(at + i * 4);
        DEVICE_UNROLL
        for (std::uint32_t e = 0; e < 4; ++e) x[i + e] = v.w[e];
      }
    }
  }
  DEVICE_FN static void pack_p(const float (&p)[kKeys / 8][4], std::uint32_t k, std::uint32_t (&a)[4]) {
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < 4; ++i) a[i] = pack_f16(p[2 * k + i / 2][i % 2 * 2], p[2 * k + i / 2][i % 2 * 2 + 1]);
  }

  // --- the tail: a page of which some tokens are recent
  /// Rows of recent tokens [from, to) of the page; others are zeros.
  DEVICE_FN void fetch_recent(std::uint32_t at, const Bf16* ring, std::int32_t first, std::int32_t from,
                              std::int32_t to) const {
    constexpr std::uint32_t kChunks = kHeadDim / 8;
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kChunks; ++i) {
      const std::uint32_t row = (i * 32 + lane_index()) / kChunks, chunk = lane_index() % kChunks;
      const std::int32_t token = first + static_cast<std::int32_t>(row);
      const bool real = token >= from && token < to;
      const std::int64_t place = (std::int64_t{sequence} * pool.residual + (real ? token % pool.residual : 0));
      copy_async16(at + chunk_offset<kHeadDim>(row, chunk),
                   ring + (place * pool.kv_heads + head) * kHeadDim + chunk * 8, real ? 16 : 0);
    }
  }
  DEVICE_FN static std::uint32_t to_f16(std::uint32_t pair) { return query(pair); }

  DEVICE_FN void tail_scores(std::uint32_t at, std::int32_t first, std::int32_t end,
                             const std::uint32_t (&q)[kHeadDim / 16][4], float (&s)[kKeys / 8][4]) const {
    const std::int32_t page = look_up(first).page;
    const bool keys_old = first < old_keys;
    if (keys_old) fetch_keys(at, page);
    else fetch_recent(at + kStageBytes, pool.k_recent, first, old_keys, end);
    if (first < old_values) fetch_values(at, page);
    fetch_recent(at + kStageBytes + kRecent, pool.v_recent, first, old_values, end);
    copy_async_commit();
    copy_async_wait<0>();
    sync_warp();
    if (keys_old) {
      scores(at, q, s);
      return;
    }
    const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kHeadDim / 16; ++k) {
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kKeys / 16; ++j) {
        std::uint32_t b[4];
        ldmatrix(b, at + kStageBytes + chunk_offset<kHeadDim>(j * 16 + matrix / 2 * 8 + row, k * 2 + matrix % 2));
        mma_f16(s[2 * j], q[k], to_f16(b[0]), to_f16(b[1]));
        mma_f16(s[2 * j + 1], q[k], to_f16(b[2]), to_f16(b[3]));
      }
    }
  }
  DEVICE_FN void tail_values(std::uint32_t at, std::int32_t first, const float (&p)[kKeys / 8][4],
                             float (&o)[kHeadDim / 8][4]) const {
    if (first < old_values) quantised_values(at, old_values - first, p, o);
    const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
    DEVICE_UNROLL
    for (std::uint32_t k = 0; k < kKeys / 16; ++k) {
      std::uint32_t a[4];
      pack_p(p, k, a);
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kHeadDim / 16; ++j) {
        std::uint32_t b[4];
        ldmatrix_transposed(b, at + kStageBytes + kRecent +
                                   chunk_offset<kHeadDim>(k * 16 + matrix % 2 * 8 + row, j * 2 + matrix / 2));
        mma_f16(o[2 * j], a, to_f16(b[0]), to_f16(b[1]));
        mma_f16(o[2 * j + 1], a, to_f16(b[2]), to_f16(b[3]));
      }
    }
  }
  DEVICE_FN static void store_output(std::uint32_t at, std::uint32_t half, const float (&o)[kHeadDim / 8][4]) {
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kHeadDim / 8; ++j) {
      shared_store<Vec2>(at + (j * 8 + lane_index() % 4 * 2) * 4,
                         {{float_to_bits(o[j][half * 2]), float_to_bits(o[j][half * 2 + 1])}});
    }
  }
};

}  // namespace orrery::ORRERY_GPU
