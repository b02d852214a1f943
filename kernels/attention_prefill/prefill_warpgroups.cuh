/// Prefill attention by specialised warpgroups on sm_90a (FlashAttention-3, arXiv 2407.08608): one producer warp keeps
/// the copy engine busy, two consumer warpgroups of 64 packed rows each multiply (wgmma) and take turns, so that the
/// softmax of one runs beside the products of the other; within a warpgroup the scores of the next block are computed
/// beside the weighted values of the last.
///
/// A thread block takes every grid-th tile of the plan; the producer runs ahead into the next tile. Key blocks of 128
/// come from the last to the first, so only the first ones need a mask. Pages are boxes of the copy engine: page_tokens
/// is a multiple of 8 that divides 128, or a multiple of 128.
#pragma once

#include "kernels/attention_prefill/prefill_block.cuh"
#include "kernels/device/hopper.hpp"

namespace orrery::ORRERY_GPU {

template <int kHeadDim>
struct HopperTile {
  static constexpr std::uint32_t kRows = 128, kKeys = 128, kStages = kHeadDim == 128 ? 2 : 4, kSlabs = kHeadDim / 64;
  static constexpr std::uint32_t kSlab = 128 * kSlabRow, kTile = kSlabs * kSlab;   ///< 128 rows of 64 and of kHeadDim
  static constexpr std::uint32_t kQueries = 0, kKeysAt = kTile, kValuesAt = kKeysAt + kStages * kTile;
  static constexpr std::uint32_t kBarriers = kValuesAt + kStages * kTile;
  /// Barriers of 8 bytes.
  static constexpr std::uint32_t kQueriesFull = kBarriers, kQueriesFree = kBarriers + 8, kEdge = kBarriers + 16;
  static constexpr std::uint32_t kKeysFull = kBarriers + 24, kKeysFree = kKeysFull + 8 * kStages;
  static constexpr std::uint32_t kValuesFull = kKeysFree + 8 * kStages, kValuesFree = kValuesFull + 8 * kStages;
  static constexpr std::uint32_t kSharedBytes = kValuesFree + 8 * kStages;
};
inline constexpr int kHopperThreads = 384;

struct HopperArgs {
  TensorMap q, k, v;
  PrefillArgs<Bf16> a;
  std::int32_t page_shift, box_tokens;       ///< tokens of a box of keys: a page, or 128 of its tokens
};

/// A stage of a ring and the parity of its barriers.
struct RingPlace {
  std::uint32_t stage = 0, parity = 0;
  template <std::uint32_t kStages>
  DEVICE_FN void next() {
    if (++stage == kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/// What of a tile both sides need: at most 128 / group query tokens.
struct HopperWork {
  std::int32_t sequence, kv_head, first_token, tokens, context, row0, end;

  DEVICE_FN std::int32_t blocks() const { return (end + 127) / 128; }
};

/// Calls f(work) for the block's tiles, cut into what fits 128 packed rows.
template <class F>
DEVICE_FN void each_work(const PrefillArgs<Bf16>& a, const F& f) {
  const std::int32_t at_once = kPrefillRows / (a.heads / a.kv.kv_heads);
  for (std::int64_t i = block_index(); i < a.tile_count; i += grid_size()) {
    const LaunchTile tile = global_load(a.tiles + i);
    const std::int32_t context = global_load(a.context + tile.sequence);
    const std::int32_t row0 = global_load(a.q_offset + tile.sequence);
    for (std::int32_t t0 = tile.q_begin; t0 < tile.q_end; t0 += at_once) {
      const std::int32_t tokens = tile.q_end - t0 < at_once ? tile.q_end - t0 : at_once;
      f(HopperWork{tile.sequence, tile.kv_head, t0, tokens, context, row0, context + t0 + tokens});
    }
  }
}

/// The producer warp.
template <int kHeadDim>
struct HopperProducer {
  using Tile = HopperTile<kHeadDim>;
  const HopperArgs& h;
  RingPlace ring;
  std::uint32_t work_parity = 0, edge_parity = 0;

  DEVICE_FN void run() {
    each_work(h.a, [&](const HopperWork& work) {
      mbarrier_wait(Tile::kQueriesFree, work_parity ^ 1);
      if (lane_index() == 0) fetch_queries(work);
      work_parity ^= 1;
      const SequenceKv<Bf16> in{h.a.kv, h.page_shift, work.sequence, work.kv_head, work.end};
      for (std::int32_t block = work.blocks() - 1; block >= 0; --block) {
        const std::int32_t token = block * 128 + static_cast<std::int32_t>(lane_index()) * h.box_tokens;
        const bool mine = static_cast<std::int32_t>(lane_index()) * h.box_tokens < 128;
        const std::int32_t slot = mine ? in.slot(token) : -1;     // of the first token of the lane's box
        fetch_block(Tile::kKeysAt, Tile::kKeysFull, Tile::kKeysFree, h.k, work, block, slot);
        fetch_block(Tile::kValuesAt, Tile::kValuesFull, Tile::kValuesFree, h.v, work, block, slot);
        ring.template next<Tile::kStages>();
      }
    });
  }
  DEVICE_FN void fetch_queries(const HopperWork& work) const {
    const std::int32_t group = h.a.heads / h.a.kv.kv_heads, at_once = kPrefillRows / group;
    mbarrier_expect(Tile::kQueriesFull, static_cast<std::uint32_t>(group * at_once) * kHeadDim * 2);
    for (std::uint32_t slab = 0; slab < Tile::kSlabs; ++slab) {
      copy_box(Tile::kQueries + slab * Tile::kSlab, h.q, static_cast<std::int32_t>(slab) * 64, work.kv_head * group,
               work.row0 + work.first_token, Tile::kQueriesFull);
    }
  }
  /// One lane for each box; it does not matter whether bytes are expected before they come, as the phase cannot end
  /// without the arrival that expects them. Of the last block, rows past the end become zeros, so that a weight of zero
  /// times what was there is no NaN; the boxes then go through a barrier of the producer's own.
  DEVICE_FN void fetch_block(std::uint32_t tiles, std::uint32_t full_at, std::uint32_t free_at, const TensorMap& map,
                             const HopperWork& work, std::int32_t block, std::int32_t slot) {
    const std::uint32_t at = tiles + ring.stage * Tile::kTile, full = full_at + 8 * ring.stage;
    const bool edge = (block + 1) * 128 > work.end;
    mbarrier_wait(free_at + 8 * ring.stage, ring.parity ^ 1);
    const auto boxes = static_cast<std::uint32_t>(popcount(ballot(slot >= 0)));
    const std::uint32_t box_bytes = static_cast<std::uint32_t>(h.box_tokens) * kSlabRow;
    const std::uint32_t arrives = edge ? Tile::kEdge : full;
    if (lane_index() == 0) mbarrier_expect(arrives, boxes * Tile::kSlabs * box_bytes);
    if (slot >= 0) {
      for (std::uint32_t slab = 0; slab < Tile::kSlabs; ++slab) {
        copy_box(at + slab * Tile::kSlab + lane_index() * box_bytes, map, static_cast<std::int32_t>(slab) * 64,
                 work.kv_head, slot, arrives);
      }
    }
    if (!edge) return;
    mbarrier_wait(Tile::kEdge, edge_parity);
    edge_parity ^= 1;
    const auto first = static_cast<std::uint32_t>(work.end - block * 128);
    for (std::uint32_t i = first * 8 + lane_index(); i < 128 * 8; i += 32) {
      for (std::uint32_t slab = 0; slab < Tile::kSlabs; ++slab) {
        shared_store<Vec4>(at + slab * Tile::kSlab + slab_offset(i / 8, i % 8), {});
      }
    }
    fence_async();
    sync_warp();
    if (lane_index() == 0) mbarrier_arrive(full);
  }
};

/// A consumer warpgroup: 64 packed rows, `index` 0 or 1.
template <int kHeadDim>
struct HopperConsumer {
  using Tile = HopperTile<kHeadDim>;
  static constexpr int kTurn = 1, kAlone = 3;        ///< named barriers: whose turn it is; one warpgroup's own
  const HopperArgs& h;
  std::uint32_t index;
  RingPlace keys, values;
  std::uint32_t work_parity = 0;

  DEVICE_FN void run() {
    each_work(h.a, [&](const HopperWork& work) {
      mbarrier_wait(Tile::kQueriesFull, work_parity);
      work_parity ^= 1;
      attend(work);
    });
  }

  /// The warpgroup's turn to issue products begins; ends. The other one's begins.
  DEVICE_FN void begin_turn() const { barrier_sync(kTurn + index, 256); }
  DEVICE_FN void end_turn(bool last) const {
    if (index == 0 || !last) barrier_arrive(kTurn + (index ^ 1), 256);
  }
  DEVICE_FN static void free_stage(std::uint32_t bar) {
    if (lane_index() == 0) mbarrier_arrive(bar);
  }

  DEVICE_FN void multiply_keys(float (&s)[16][4]) const {
    const std::uint64_t q = matrix_descriptor(Tile::kQueries + index * 64 * kSlabRow);
    const std::uint64_t k = matrix_descriptor(Tile::kKeysAt + keys.stage * Tile::kTile);
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kHeadDim / 16; ++i) {
      const std::uint32_t at = i / 4 * Tile::kSlab + i % 4 * 32;
      wgmma_keys<128>(s, advanced(q, at), advanced(k, at), i > 0);
    }
  }
  DEVICE_FN void multiply_values(const std::uint32_t (&p)[8][4], float (&o)[kHeadDim / 8][4]) const {
    const std::uint64_t v = matrix_descriptor(Tile::kValuesAt + values.stage * Tile::kTile, Tile::kSlab);
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < 8; ++i) wgmma_values<kHeadDim>(o, p[i], advanced(v, i * 16 * kSlabRow));
  }

  /// Rows of the lane: token's last key + 1.
  DEVICE_FN void mask(const HopperWork& work, const PackedRows& packed, std::int32_t block, float (&s)[16][4]) const {
    const std::int32_t least = work.context + work.first_token + 1;
    if ((block + 1) * 128 <= least) return;
    DEVICE_UNROLL
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t row = row_of(half);
      const std::int32_t limit = least + static_cast<std::int32_t>(packed.token(row)) - block * 128;
      DEVICE_UNROLL
      for (int j = 0; j < 16; ++j) {
        DEVICE_UNROLL
        for (int c = 0; c < 2; ++c) {
          const int key = j * 8 + static_cast<int>(lane_index() % 4) * 2 + c;
          if (key >= limit) s[j][half * 2 + c] = negative_infinity();
        }
      }
    }
  }
  DEVICE_FN std::uint32_t row_of(std::uint32_t half) const {
    return index * 64 + warp_index() % 4 * 16 + lane_index() / 4 + half * 8;
  }
  DEVICE_FN static void pack(const float (&s)[16][4], std::uint32_t (&p)[8][4]) {
    DEVICE_UNROLL
    for (int i = 0; i < 8; ++i) {
      p[i][0] = pack_bf16(s[2 * i][0], s[2 * i][1]);
      p[i][1] = pack_bf16(s[2 * i][2], s[2 * i][3]);
      p[i][2] = pack_bf16(s[2 * i + 1][0], s[2 * i + 1][1]);
      p[i][3] = pack_bf16(s[2 * i + 1][2], s[2 * i + 1][3]);
    }
  }

  DEVICE_FN void attend(const HopperWork& work) {
    const PackedRows packed(h.a.heads / h.a.kv.kv_heads);
    const float scale = h.a.scale * kLog2E;
    SoftmaxRows softmax;
    softmax.clear(negative_infinity());
    float o[kHeadDim / 8][4], s[16][4], shrink[2];
    std::uint32_t p[8][4];
    DEVICE_UNROLL
    for (auto& x : o) x[0] = x[1] = x[2] = x[3] = 0;

    std::int32_t block = work.blocks() - 1;
    mbarrier_wait(Tile::kKeysFull + 8 * keys.stage, keys.parity);
    if (index == 1) barrier_arrive(kTurn, 256);                  // the first turn is the other one's
    begin_turn();
    wgmma_hold(s);
    wgmma_fence();
    multiply_keys(s);
    wgmma_commit();
    end_turn(block == 0);
    wgmma_wait<0>();
    wgmma_hold(s);
    free_stage(Tile::kKeysFree + 8 * keys.stage);
    keys.template next<Tile::kStages>();
    mask(work, packed, block, s);
    softmax_weights(s, scale, softmax, shrink);                  // o is zero: nothing to rescale
    pack(s, p);
    DEVICE_NO_UNROLL
    for (--block; block >= 0; --block) {
      mbarrier_wait(Tile::kKeysFull + 8 * keys.stage, keys.parity);
      mbarrier_wait(Tile::kValuesFull + 8 * values.stage, values.parity);
      begin_turn();
      wgmma_hold(s);
      wgmma_hold(o);
      wgmma_fence();
      multiply_keys(s);
      wgmma_commit();
      multiply_values(p, o);
      wgmma_commit();
      end_turn(block == 0);
      wgmma_wait<1>();
      wgmma_hold(s);
      free_stage(Tile::kKeysFree + 8 * keys.stage);
      keys.template next<Tile::kStages>();
      mask(work, packed, block, s);
      softmax_weights(s, scale, softmax, shrink);
      wgmma_wait<0>();
      wgmma_hold(o);
      free_stage(Tile::kValuesFree + 8 * values.stage);
      values.template next<Tile::kStages>();
      rescale(o, shrink);
      pack(s, p);
    }
    mbarrier_wait(Tile::kValuesFull + 8 * values.stage, values.parity);
    wgmma_hold(o);
    wgmma_fence();
    multiply_values(p, o);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(o);
    free_stage(Tile::kValuesFree + 8 * values.stage);
    values.template next<Tile::kStages>();
    reduce_sums(softmax);
    store(work, packed, softmax, o);
  }

  /// Through the warpgroup's rows of the queries, which nobody needs any more, so that whole lines are written.
  DEVICE_FN void store(const HopperWork& work, const PackedRows& packed, const SoftmaxRows& softmax,
                       const float (&o)[kHeadDim / 8][4]) const {
    barrier_sync(kAlone + index, 128);                           // all four warps' products have read them
    DEVICE_UNROLL
    for (std::uint32_t half = 0; half < 2; ++half) {
      const float inverse = softmax.l[half] > 0 ? 1 / softmax.l[half] : 0;
      DEVICE_UNROLL
      for (std::uint32_t j = 0; j < kHeadDim / 8; ++j) {
        shared_store<std::uint32_t>(
            Tile::kQueries + j / 8 * Tile::kSlab + slab_offset(row_of(half), j % 8) + lane_index() % 4 * 4,
            pack_bf16(o[j][half * 2] * inverse, o[j][half * 2 + 1] * inverse));
      }
    }
    sync_warp();
    const std::uint32_t rows = static_cast<std::uint32_t>(work.tokens) * packed.group;
    const std::int64_t base =
        std::int64_t{work.row0 + work.first_token} * h.a.heads + std::int64_t{work.kv_head} * packed.group;
    DEVICE_UNROLL
    for (std::uint32_t i = 0; i < kHeadDim / 16; ++i) {          // 16 rows of 8 chunks, slab after slab: 4 rows a turn
      const std::uint32_t slab = i / 4, row = index * 64 + warp_index() % 4 * 16 + i % 4 * 4 + lane_index() / 8;
      const std::uint32_t chunk = lane_index() % 8;
      const Vec4 x = shared_load<Vec4>(Tile::kQueries + slab * Tile::kSlab + slab_offset(row, chunk));
      if (row >= rows) continue;
      const std::int64_t element = base + packed.token(row) * std::int64_t{h.a.heads} + packed.head(row);
      global_store(reinterpret_cast<Vec4*>(h.a.out + element * kHeadDim + slab * 64 + chunk * 8), x);
    }
    fence_async();                                               // before the copy engine writes there again
    sync_warp();
    free_stage(Tile::kQueriesFree);
  }
};

template <int kHeadDim>
DEVICE_FN void prefill_warpgroups(const HopperArgs& h) {
  using Tile = HopperTile<kHeadDim>;
  const std::int32_t group = h.a.heads / h.a.kv.kv_heads;
  if (thread_index() == 0) {
    mbarrier_init(Tile::kQueriesFull, 1);
    mbarrier_init(Tile::kQueriesFree, 8);                        // a lane of each consumer warp
    mbarrier_init(Tile::kEdge, 1);
    for (std::uint32_t i = 0; i < Tile::kStages; ++i) {
      mbarrier_init(Tile::kKeysFull + 8 * i, 1);
      mbarrier_init(Tile::kValuesFull + 8 * i, 1);
      mbarrier_init(Tile::kKeysFree + 8 * i, 8);
      mbarrier_init(Tile::kValuesFree + 8 * i, 8);
    }
    fence_barrier_init();
  }
  // Rows of queries that no box of this group size fills.
  for (std::uint32_t i = thread_index() + static_cast<std::uint32_t>(128 / group * group) * 8; i < 128 * 8;
       i += kHopperThreads) {
    for (std::uint32_t slab = 0; slab < Tile::kSlabs; ++slab) {
      shared_store<Vec4>(Tile::kQueries + slab * Tile::kSlab + slab_offset(i / 8, i % 8), {});
    }
  }
  fence_async();
  sync_threads();
  if (warp_index() < 4) {
    fewer_registers<40>();                                       // 128 * 40 + 256 * 232 = 384 * 168
    if (warp_index() == 0) HopperProducer<kHeadDim>{h, {}}.run();
  } else {
    more_registers<232>();
    HopperConsumer<kHeadDim>{h, warp_index() / 4 - 1, {}, {}}.run();
  }
}

}  // namespace orrery::ORRERY_GPU
