/// One tile of prefill attention on tensor cores (mma.m16n8k16, sm_80 and later; FlashAttention-2, ICLR'24), by a
/// thread block of four warps: up to 128 packed query rows of one KV head over a range of keys. Shared by the prefill,
/// the mixed and the tree kernel.
///
/// Packed: row r is query token r / group, head r % group of the KV head's group, so that one pass over the KV serves
/// all heads of the group, whatever their number. A warp has 32 rows. Keys and values come in blocks of 64, two stages
/// each (cp.async). What a row sees is asked of a mask (CausalMask, TreeMask): only in blocks that not all rows see
/// whole.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/common/attention_mma.cuh"

namespace orrery::ORRERY_GPU {

inline constexpr int kPrefillThreads = 128, kPrefillRows = 128, kPrefillKeys = 64;

template <int kHeadDim>
constexpr std::uint32_t prefill_shared_bytes() {
  return (kPrefillRows + 4 * kPrefillKeys) * kHeadDim * 2;
}

/// Query token t sees the keys before `context` and, up to itself, those of its chunk.
struct CausalMask {
  std::int32_t context;

  struct Row {
    std::int32_t limit;
    DEVICE_FN bool sees(std::int32_t key) const { return key < limit; }
    DEVICE_FN std::int32_t all_before() const { return limit; }
    DEVICE_FN std::int32_t none_from() const { return limit; }
  };
  DEVICE_FN Row row(std::int32_t token) const { return {context + token + 1}; }
  DEVICE_FN static Row no_row() { return {0}; }
};

/// What a block is told: `tokens` query tokens of one sequence and KV head, keys [begin, end).
template <class Mask>
struct PrefillTile {
  const Bf16* q;                             ///< of the first token, first head of the group
  std::int64_t q_stride;                     ///< numbers from a token to the next
  std::int32_t group, first_token, tokens;
  SequenceKv<Bf16> in;
  std::int32_t begin, end;                   ///< no row sees a key past the end, unless `end` is a multiple of 64
  float scale;
  Mask mask;
};

/// Where row (token, head of the group) goes: element (base + token * heads + head) of the output or of the partials.
struct PrefillTarget {
  Bf16* out;
  Partials<float> partials;
  std::int64_t base;
  std::int32_t heads;
  bool partial;
};

/// The thread's place in a packed tile: token and head of a row, without a division.
struct PackedRows {
  std::uint32_t group, inverse;
  DEVICE_FN explicit PackedRows(std::int32_t g)
      : group(static_cast<std::uint32_t>(g)), inverse(65536u / static_cast<std::uint32_t>(g) + 1) {}
  DEVICE_FN std::uint32_t token(std::uint32_t row) const { return row * inverse >> 16; }   // row < 128, group <= 64
  DEVICE_FN std::uint32_t head(std::uint32_t row) const { return row - token(row) * group; }
};

/// How the block copies rows of KV: a warp has 16 of the 64, lane i < 16 knows the place of its i-th.
template <int kHeadDim>
struct PrefillCopy {
  static constexpr std::uint32_t kChunks = kHeadDim / 8, kAtOnce = 32 / kChunks, kTurns = 16 / kAtOnce;

  DEVICE_FN static std::uint32_t row(std::uint32_t i) {
    return i / kAtOnce * (4 * kAtOnce) + warp_index() * kAtOnce + i % kAtOnce;
  }
  DEVICE_FN static std::int32_t look_up(const SequenceKv<Bf16>& in, std::int32_t first) {
    const std::uint32_t lane = lane_index();
    return lane < 16 ? in.slot(first + static_cast<std::int32_t>(row(lane))) : -1;
  }
  DEVICE_FN static void fetch(std::uint32_t at, const Bf16* from, const SequenceKv<Bf16>& in, std::int32_t slots) {
    const std::uint32_t chunk = lane_index() % kChunks;
    DEVICE_UNROLL
    for (std::uint32_t turn = 0; turn < kTurns; ++turn) {
      const std::uint32_t i = turn * kAtOnce + lane_index() / kChunks;
      const std::int32_t slot = shuffle(slots, i);
      copy_async16(at + chunk_offset<kHeadDim>(row(i), chunk), from + in.element(slot) + chunk * 8,
                   slot < 0 ? 0 : 16);
    }
  }
};

/// Query rows to shared memory; rows past the end are zeros.
template <int kHeadDim, class Mask>
DEVICE_FN void fetch_queries(const PrefillTile<Mask>& t, const PackedRows& packed) {
  constexpr std::uint32_t kChunks = kHeadDim / 8;
  const std::uint32_t rows = static_cast<std::uint32_t>(t.tokens * t.group);
  DEVICE_UNROLL
  for (std::uint32_t i = 0; i < kChunks; ++i) {
    const std::uint32_t at = i * kPrefillThreads + thread_index(), row = at / kChunks, chunk = at % kChunks;
    const bool real = row < rows;
    const std::int64_t from = real ? packed.token(row) * t.q_stride + packed.head(row) * kHeadDim + chunk * 8 : 0;
    copy_async16(chunk_offset<kHeadDim>(row, chunk), t.q + from, real ? 16 : 0);
  }
}

/// A warp's 32 rows: two fragments of 16.
template <int kHeadDim>
struct PrefillState {
  SoftmaxRows softmax[2];
  float o[2][kHeadDim / 8][4];
};

/// s = q k over the block of keys at `k_at`.
template <int kHeadDim>
DEVICE_FN void prefill_scores(std::uint32_t k_at, float (&s)[2][kPrefillKeys / 8][4]) {
  const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
  const std::uint32_t q_row = warp_index() * 32 + matrix % 2 * 8 + row;
  DEVICE_UNROLL_BY(4)                        // more would keep more addresses than there are registers
  for (std::uint32_t k = 0; k < kHeadDim / 16; ++k) {
    std::uint32_t q[2][4];
    ldmatrix(q[0], chunk_offset<kHeadDim>(q_row, 2 * k + matrix / 2));
    ldmatrix(q[1], chunk_offset<kHeadDim>(q_row + 16, 2 * k + matrix / 2));
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kPrefillKeys / 16; ++j) {
      std::uint32_t b[4];
      ldmatrix(b, k_at + chunk_offset<kHeadDim>(j * 16 + matrix / 2 * 8 + row, 2 * k + matrix % 2));
      DEVICE_UNROLL
      for (int half = 0; half < 2; ++half) {
        mma_bf16(s[half][2 * j], q[half], b[0], b[1]);
        mma_bf16(s[half][2 * j + 1], q[half], b[2], b[3]);
      }
    }
  }
}

/// o += p v over the block of values at `v_at`.
template <int kHeadDim>
DEVICE_FN void prefill_values(std::uint32_t v_at, const std::uint32_t (&p)[2][kPrefillKeys / 16][4],
                              float (&o)[2][kHeadDim / 8][4]) {
  const std::uint32_t matrix = lane_index() / 8, row = lane_index() % 8;
  DEVICE_UNROLL
  for (std::uint32_t k = 0; k < kPrefillKeys / 16; ++k) {
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kHeadDim / 16; ++j) {
      std::uint32_t b[4];
      ldmatrix_transposed(b, v_at + chunk_offset<kHeadDim>(k * 16 + matrix % 2 * 8 + row, 2 * j + matrix / 2));
      DEVICE_UNROLL
      for (int half = 0; half < 2; ++half) {
        mma_bf16(o[half][2 * j], p[half][k], b[0], b[1]);
        mma_bf16(o[half][2 * j + 1], p[half][k], b[2], b[3]);
      }
    }
  }
}

/// Weights as fragments of the second product.
DEVICE_FN void pack_weights(const float (&s)[kPrefillKeys / 8][4], std::uint32_t (&p)[kPrefillKeys / 16][4]) {
  DEVICE_UNROLL
  for (int k = 0; k < kPrefillKeys / 16; ++k) {
    p[k][0] = pack_bf16(s[2 * k][0], s[2 * k][1]);
    p[k][1] = pack_bf16(s[2 * k][2], s[2 * k][3]);
    p[k][2] = pack_bf16(s[2 * k + 1][0], s[2 * k + 1][1]);
    p[k][3] = pack_bf16(s[2 * k + 1][2], s[2 * k + 1][3]);
  }
}

/// The warp's rows, through its own part of the queries' memory so that whole lines are written.
template <int kHeadDim, class Mask>
DEVICE_FN void store_rows(const PrefillTile<Mask>& t, const PackedRows& packed, const PrefillTarget& to,
                          const PrefillState<kHeadDim>& state) {
  constexpr std::uint32_t kChunks = kHeadDim / 8;
  const std::uint32_t warp_row = warp_index() * 32, g = lane_index() / 4, quad = lane_index() % 4;
  const std::uint32_t rows = static_cast<std::uint32_t>(t.tokens * t.group);
  DEVICE_UNROLL                              // the queries were last read before the last barrier
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint32_t row = warp_row + i * 8 + g;
    const float l = state.softmax[i / 2].l[i % 2], inverse = l > 0 ? 1 / l : 0;
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kChunks; ++j) {
      const float* o = state.o[i / 2][j] + i % 2 * 2;
      shared_store<std::uint32_t>(chunk_offset<kHeadDim>(row, j) + quad * 4, pack_bf16(o[0] * inverse, o[1] * inverse));
    }
  }
  sync_warp();
  DEVICE_UNROLL
  for (std::uint32_t i = 0; i < kChunks; ++i) {
    const std::uint32_t at = i * 32 + lane_index(), row = warp_row + at / kChunks, chunk = at % kChunks;
    const Vec4 x = shared_load<Vec4>(chunk_offset<kHeadDim>(row, chunk));
    if (row >= rows) continue;
    const std::int64_t element = to.base + packed.token(row) * std::int64_t{to.heads} + packed.head(row);
    global_store(reinterpret_cast<Vec4*>(to.out + element * kHeadDim + chunk * 8), x);
  }
}

template <int kHeadDim, class Mask>
DEVICE_FN void store_partials(const PrefillTile<Mask>& t, const PackedRows& packed, const PrefillTarget& to,
                              const PrefillState<kHeadDim>& state) {
  const std::uint32_t pair = lane_index() % 4 * 2, rows = static_cast<std::uint32_t>(t.tokens * t.group);
  DEVICE_UNROLL
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint32_t row = warp_index() * 32 + i * 8 + lane_index() / 4;
    if (row >= rows) continue;
    const std::int64_t element = to.base + packed.token(row) * std::int64_t{to.heads} + packed.head(row);
    if (pair == 0) {
      global_store(to.partials.m + element, state.softmax[i / 2].m[i % 2] * kLn2);
      global_store(to.partials.l + element, state.softmax[i / 2].l[i % 2]);
    }
    DEVICE_UNROLL
    for (std::uint32_t j = 0; j < kHeadDim / 8; ++j) {
      const float* o = state.o[i / 2][j] + i % 2 * 2;
      global_store(reinterpret_cast<Vec2*>(to.partials.o + element * kHeadDim + j * 8 + pair),
                   {{float_to_bits(o[0]), float_to_bits(o[1])}});
    }
  }
}

/// The least and the greatest of a value over the warp.
DEVICE_FN std::int32_t warp_least(std::int32_t x) {
  for (unsigned mask = 16; mask > 0; mask /= 2) {
    const std::int32_t other = shuffle_xor(x, mask);
    x = other < x ? other : x;
  }
  return x;
}

/// At most 128 packed rows. All threads of the block take part; shared memory is free again at the end for a caller
/// that puts a barrier between. `target()` is asked at the end only, so that it lives in no registers until then.
template <int kHeadDim, class Mask, class Target>
DEVICE_FN void prefill_block(const PrefillTile<Mask>& t, const Target& target) {
  using Copy = PrefillCopy<kHeadDim>;
  constexpr std::uint32_t kTile = kPrefillKeys * kHeadDim * 2, kKeysAt = kPrefillRows * kHeadDim * 2;
  const PackedRows packed(t.group);
  const std::uint32_t rows = static_cast<std::uint32_t>(t.tokens * t.group);
  const auto row_at = [](std::uint32_t i) { return warp_index() * 32 + i * 8 + lane_index() / 4; };
  const auto row_of = [&](std::uint32_t i) {    // the lane's i-th of four; computed anew, to save registers
    return t.mask.row(t.first_token + static_cast<std::int32_t>(packed.token(row_at(i))));
  };
  std::int32_t all_before = t.end, none_from = 0;
  for (std::uint32_t i = 0; i < 4; ++i) {
    if (row_at(i) >= rows) continue;
    const typename Mask::Row row = row_of(i);
    if (row.all_before() < all_before) all_before = row.all_before();
    if (row.none_from() > none_from) none_from = row.none_from();
  }
  all_before = warp_least(all_before);
  none_from = -warp_least(-none_from);

  PrefillState<kHeadDim> state;
  DEVICE_UNROLL
  for (int half = 0; half < 2; ++half) {
    state.softmax[half].clear(negative_infinity());
    DEVICE_UNROLL
    for (auto& o : state.o[half]) o[0] = o[1] = o[2] = o[3] = 0;
  }

  std::int32_t slots = Copy::look_up(t.in, t.begin);
  fetch_queries<kHeadDim>(t, packed);
  Copy::fetch(kKeysAt, t.in.kv.k, t.in, slots);
  copy_async_commit();
  Copy::fetch(kKeysAt + 2 * kTile, t.in.kv.v, t.in, slots);
  copy_async_commit();
  slots = Copy::look_up(t.in, t.begin + kPrefillKeys);
  std::uint32_t stage = 0;
  DEVICE_NO_UNROLL
  for (std::int32_t first = t.begin; first < t.end; first += kPrefillKeys) {
    const std::uint32_t k_at = kKeysAt + stage * kTile, v_at = k_at + 2 * kTile;
    const std::uint32_t next_k = kKeysAt + (stage ^ 1) * kTile;
    const bool more = first + kPrefillKeys < t.end, work = first < none_from;
    copy_async_wait<1>();                    // the keys are here
    sync_threads();                          // for all; and the block before has been read
    if (more) Copy::fetch(next_k, t.in.kv.k, t.in, slots);
    copy_async_commit();
    std::uint32_t p[2][kPrefillKeys / 16][4];
    if (work) {
      float s[2][kPrefillKeys / 8][4] = {};
      prefill_scores<kHeadDim>(k_at, s);
      const bool whole = first + kPrefillKeys <= all_before;
      if (!whole) {
        DEVICE_UNROLL
        for (std::uint32_t i = 0; i < 4; ++i) {
          const typename Mask::Row row = row_at(i) < rows ? row_of(i) : Mask::no_row();
          DEVICE_UNROLL
          for (int j = 0; j < kPrefillKeys / 8; ++j) {
            DEVICE_UNROLL
            for (std::uint32_t c = 0; c < 2; ++c) {
              const auto key = first + j * 8 + static_cast<std::int32_t>(lane_index() % 4 * 2 + c);
              if (!row.sees(key)) s[i / 2][j][i % 2 * 2 + c] = negative_infinity();
            }
          }
        }
      }
      DEVICE_UNROLL
      for (int half = 0; half < 2; ++half) {
        softmax_step(s[half], t.scale * kLog2E, state.softmax[half], state.o[half]);
        pack_weights(s[half], p[half]);
      }
    }
    copy_async_wait<1>();                    // the values are here
    sync_threads();
    if (more) {
      Copy::fetch(next_k + 2 * kTile, t.in.kv.v, t.in, slots);
      slots = Copy::look_up(t.in, first + 2 * kPrefillKeys);
    }
    copy_async_commit();
    if (work) prefill_values<kHeadDim>(v_at, p, state.o);
    stage ^= 1;
  }
  copy_async_wait<0>();
  reduce_sums(state.softmax[0]);
  reduce_sums(state.softmax[1]);
  const PrefillTarget to = target();
  if (to.partial) store_partials(t, packed, to, state);
  else store_rows(t, packed, to, state);
}

}  // namespace orrery::ORRERY_GPU
