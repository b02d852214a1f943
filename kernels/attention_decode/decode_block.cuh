/// One tile of decode attention on tensor cores, by a thread block of four warps: up to 16 query heads of one KV head
/// over a range of keys. Shared by the plain, the quantised and the mixed kernels; a KV format is a class like Bf16Kv
/// (bf16_kv.cuh).
///
/// The warps share nothing until the end: warp w takes every fourth step of Format::kKeys keys and fetches them itself,
/// kStages - 1 steps ahead (cp.async), so that no barrier stalls the stream of loads. At the end the four results are
/// merged in shared memory. The arithmetic of a row depends on its own keys and the plan's split points alone.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/common/attention_mma.cuh"

namespace orrery::ORRERY_GPU {

inline constexpr int kDecodeWarps = 4, kDecodeThreads = kDecodeWarps * 32, kDecodeRows = 16;

/// What a tile is told beside its KV format.
struct DecodeTile {
  const DecodeRows<Bf16>& a;
  LaunchTile tile;                           ///< sequence: row of the batch
  std::int32_t row0 = 0;                     ///< first head of the group that this block computes
  bool only_outside = false;                 ///< second pass of the unified maximum: rows that left the band
  bool partial = false;                      ///< leaves partial results of unsplit rows, too

  DEVICE_FN bool writes_output() const { return tile.splits == 1 && !partial; }
};

template <class Format, int kHeadDim>
constexpr std::uint32_t decode_shared_bytes() {
  constexpr std::uint32_t merging = kDecodeWarps * kDecodeRows * (kHeadDim + 8 + 2) * 4;
  constexpr std::uint32_t fetching = kDecodeWarps * Format::kWarpBytes;
  return merging > fetching ? merging : fetching;
}

/// A warp's running result: 16 rows of which `rows` are heads.
template <int kHeadDim>
struct DecodeState {
  SoftmaxRows softmax;
  float o[kHeadDim / 8][4];
  bool outside[2] = {false, false};
};

/// Queries as fragments, in the order of channels that the format wants; rows that are no heads are zero.
template <class Format, int kHeadDim>
DEVICE_FN void load_queries(const DecodeTile& t, int rows, std::uint32_t (&q)[kHeadDim / 16][4]) {
  const std::int64_t stride = t.a.q_stride ? t.a.q_stride : std::int64_t{t.a.heads} * kHeadDim;
  const int group = t.a.heads / t.a.kv_heads, g = static_cast<int>(lane_index() / 4);
  const Bf16* first = t.a.q + t.tile.sequence * stride + (std::int64_t{t.tile.kv_head} * group + t.row0) * kHeadDim;
  DEVICE_UNROLL
  for (int k = 0; k < kHeadDim / 16; ++k) {
    DEVICE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = g + i % 2 * 8;
      const int channel = Format::query_channel(k, static_cast<int>(lane_index() % 4), i / 2);
      q[k][i] = row < rows ? Format::query(global_load(
                                 reinterpret_cast<const std::uint32_t*>(first + row * kHeadDim + channel)))
                           : 0;
    }
  }
}

/// Scores of kKeys keys become weights; keys past the `seen` first are no keys.
template <int kTiles, int kHeadDim, bool kUnified>
DEVICE_FN void decode_softmax(const DecodeTile& t, float scale, std::int32_t seen, float (&s)[kTiles][4],
                              DecodeState<kHeadDim>& state) {
  DEVICE_UNROLL
  for (int j = 0; j < kTiles; ++j) {
    DEVICE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int key = j * 8 + static_cast<int>(lane_index() % 4) * 2 + i % 2;
      if (key >= seen) s[j][i] = negative_infinity();
    }
  }
  if constexpr (kUnified) {
    softmax_step_unified(s, scale, state.softmax, t.a.low * kLog2E, t.a.high * kLog2E, state.outside);
  } else {
    softmax_step(s, scale, state.softmax, state.o);
  }
}

/// All keys of this warp.
template <class Format, int kHeadDim, bool kUnified>
DEVICE_FN void decode_warp(const DecodeTile& t, const Format& format, int rows, std::int32_t begin, std::int32_t end,
                           DecodeState<kHeadDim>& state) {
  constexpr int kKeys = Format::kKeys, kStages = Format::kStages;
  const auto warp = static_cast<std::int32_t>(warp_index());
  const std::uint32_t base = static_cast<std::uint32_t>(warp) * Format::kWarpBytes;
  const float scale = t.a.scale * format.key_scale() * kLog2E;
  std::uint32_t q[kHeadDim / 16][4];
  load_queries<Format, kHeadDim>(t, rows, q);
  state.softmax.clear(kUnified ? t.a.phi * kLog2E : negative_infinity());
  DEVICE_UNROLL
  for (auto& o : state.o) o[0] = o[1] = o[2] = o[3] = 0;

  const std::int32_t streamed = format.streamed_end(begin, end), steps = (streamed - begin + kKeys - 1) / kKeys;
  const auto first_key = [&](std::int32_t step) { return begin + step * kKeys; };
  typename Format::Ahead ahead = format.look_up(first_key(warp));
  const auto fetch = [&](std::int32_t step, std::int32_t stage) {
    if (step < steps) {
      format.fetch(base + static_cast<std::uint32_t>(stage) * Format::kStageBytes, first_key(step), ahead);
      ahead = format.look_up(first_key(step + kDecodeWarps));
    }
    copy_async_commit();
  };
  for (int s = 0; s < kStages - 1; ++s) fetch(warp + s * kDecodeWarps, s);
  std::int32_t stage = 0, refill = kStages - 1;
  for (std::int32_t step = warp; step < steps; step += kDecodeWarps) {
    copy_async_wait<kStages - 2>();
    sync_warp();                                                 // all lanes' copies; the stage before is free
    fetch(step + (kStages - 1) * kDecodeWarps, refill);
    const std::uint32_t at = base + static_cast<std::uint32_t>(stage) * Format::kStageBytes;
    float s[kKeys / 8][4] = {};
    format.scores(at, q, s);
    decode_softmax<kKeys / 8, kHeadDim, kUnified>(t, scale, end - first_key(step), s, state);
    format.values(at, s, state.o);
    stage = stage + 1 == kStages ? 0 : stage + 1;
    refill = refill + 1 == kStages ? 0 : refill + 1;
  }
  copy_async_wait<0>();
  if constexpr (Format::kHasTail) {
    sync_warp();
    for (std::int32_t first = streamed + warp * kKeys; first < end; first += kDecodeWarps * kKeys) {
      float s[kKeys / 8][4] = {};
      format.tail_scores(base, first, end, q, s);
      decode_softmax<kKeys / 8, kHeadDim, kUnified>(t, scale, end - first, s, state);
      format.tail_values(base, first, s, state.o);
      sync_warp();
    }
  }
  reduce_sums(state.softmax);
}

/// The four warps' results become one: partial results, or the output if the row is not split.
template <class Format, int kHeadDim>
DEVICE_FN void decode_merge(const DecodeTile& t, int rows, float value_scale, const DecodeState<kHeadDim>& state) {
  constexpr std::uint32_t kRow = (kHeadDim + 8) * 4, kWarp = kDecodeRows * kRow, kSums = kDecodeWarps * kWarp;
  const std::uint32_t warp = warp_index(), g = lane_index() / 4, pair = lane_index() % 4 * 2;
  sync_threads();                                                // nobody reads KV any more
  DEVICE_UNROLL
  for (std::uint32_t half = 0; half < 2; ++half) {
    const std::uint32_t row = g + half * 8;
    Format::store_output(warp * kWarp + row * kRow, half, state.o);
    if (pair == 0) {
      shared_store<Vec2>(kSums + (warp * kDecodeRows + row) * 8,
                         {{float_to_bits(state.softmax.m[half]), float_to_bits(state.softmax.l[half])}});
    }
  }
  sync_threads();
  const DecodeRows<Bf16>& a = t.a;
  const std::int64_t head0 = std::int64_t{t.tile.kv_head} * (a.heads / a.kv_heads) + t.row0;
  const std::int64_t first = t.writes_output() ? 0 : global_load(a.partials.offset + t.tile.sequence);
  for (auto i = static_cast<int>(thread_index()); i < rows * (kHeadDim / 2); i += kDecodeThreads) {
    const int row = i / (kHeadDim / 2), c = i % (kHeadDim / 2) * 2;
    if (t.only_outside && !global_load(a.outside + t.tile.sequence * std::int64_t{a.heads} + head0 + row)) continue;
    float m[kDecodeWarps], l[kDecodeWarps], most = negative_infinity(), sum = 0, o[2] = {0, 0};
    DEVICE_UNROLL
    for (int w = 0; w < kDecodeWarps; ++w) {
      const Vec2 pairs = shared_load<Vec2>(kSums + static_cast<std::uint32_t>(w * kDecodeRows + row) * 8);
      m[w] = bits_to_float(pairs.w[0]);
      l[w] = bits_to_float(pairs.w[1]);
      most = max_of(most, m[w]);
    }
    DEVICE_UNROLL
    for (int w = 0; w < kDecodeWarps; ++w) {
      const float weight = m[w] == negative_infinity() ? 0 : fast_exp2(m[w] - most);
      const Vec2 part = shared_load<Vec2>(static_cast<std::uint32_t>(w) * kWarp +
                                          static_cast<std::uint32_t>(row) * kRow + static_cast<std::uint32_t>(c) * 4);
      sum = fused(weight, l[w], sum);
      o[0] = fused(weight, bits_to_float(part.w[0]), o[0]);
      o[1] = fused(weight, bits_to_float(part.w[1]), o[1]);
    }
    if (t.writes_output()) {
      const float inverse = sum > 0 ? value_scale / sum : 0;
      global_store(reinterpret_cast<std::uint32_t*>(a.out + (t.tile.sequence * std::int64_t{a.heads} + head0 + row) *
                                                                kHeadDim + c),
                   pack_bf16(o[0] * inverse, o[1] * inverse));
    } else {
      const std::int64_t part = (first + t.tile.split) * a.heads + head0 + row;
      global_store(reinterpret_cast<Vec2*>(a.partials.o + part * kHeadDim + c),
                   {{float_to_bits(o[0] * value_scale), float_to_bits(o[1] * value_scale)}});
      if (c == 0) {
        global_store(a.partials.m + part, most * kLn2);
        global_store(a.partials.l + part, sum);
      }
    }
  }
}

/// The whole tile. All threads of the block take part.
template <class Format, int kHeadDim, bool kUnified>
DEVICE_FN void decode_block(const DecodeTile& t, const Format& format, std::int32_t kv_len) {
  const int group = t.a.heads / t.a.kv_heads;
  const int rows = group - t.row0 < kDecodeRows ? group - t.row0 : kDecodeRows;
  std::uint8_t* outside = t.a.outside + t.tile.sequence * std::int64_t{t.a.heads} +
                          std::int64_t{t.tile.kv_head} * group + t.row0;
  if (t.only_outside) {
    bool wanted = false;
    for (int r = 0; r < rows; ++r) wanted |= global_load(outside + r) != 0;
    if (!wanted) return;
  }
  const std::int32_t begin = t.tile.block_begin * kPlanBlock;
  const std::int32_t end = kv_len < t.tile.block_end * kPlanBlock ? kv_len : t.tile.block_end * kPlanBlock;
  DecodeState<kHeadDim> state;
  decode_warp<Format, kHeadDim, kUnified>(t, format, rows, begin, end, state);
  if constexpr (kUnified) {
    DEVICE_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = static_cast<int>(lane_index() / 4) + half * 8;
      if (row < rows && state.outside[half]) global_store(outside + row, std::uint8_t{1});
    }
  }
  decode_merge<Format, kHeadDim>(t, rows, format.value_scale(), state);
}

}  // namespace orrery::ORRERY_GPU
