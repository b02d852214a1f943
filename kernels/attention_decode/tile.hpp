/// One tile of decode attention on the CPU, over any source of KV; shared by the plain, the quantised and the mixed
/// kernels.
///
///   decode_tiles(rows, [&](std::int32_t sequence) { return PagedSource<T>{kv, sequence}; });
#pragma once

#include <algorithm>

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/common/attention_core.hpp"
#include "kernels/common/exponential.hpp"

namespace orrery {

/// What a tile needs beside its arguments; large, so one for many tiles.
template <class A>
struct DecodeScratch {
  KvBlock<A> block;
  WideRows<A> q;
  RowState<A> state[kMaxRows];
};

template <class T>
std::int64_t partial_row(const DecodeRows<T>& a, const LaunchTile& tile, int g) {
  const int group = a.heads / a.kv_heads;
  return static_cast<std::int64_t>(a.partials.offset[tile.sequence] + tile.split) * a.heads + tile.kv_head * group + g;
}

template <class T, class Source>
void decode_tile(const DecodeRows<T>& a, const Source& source, const LaunchTile& tile, bool only_outside,
                               DecodeScratch<Accum<T>>& scratch) {
  using A = Accum<T>;
  const int group = a.heads / a.kv_heads, d = a.head_dim;
  const std::int64_t begin = static_cast<std::int64_t>(tile.block_begin) * kKvBlock;
  const std::int64_t end =
      std::min<std::int64_t>(a.kv_len[tile.sequence], static_cast<std::int64_t>(tile.block_end) * kKvBlock);
  const std::int64_t q_stride = a.q_stride ? a.q_stride : static_cast<std::int64_t>(a.heads) * d;
  const std::int64_t head0 = static_cast<std::int64_t>(tile.kv_head) * group;
  const bool unified = a.softmax == SoftmaxMode::kUnified && !only_outside;
  std::uint8_t* outside = a.outside ? a.outside + static_cast<std::int64_t>(tile.sequence) * a.heads + head0 : nullptr;
  int which[kMaxRows], rows = 0;                                   // heads of the group that are computed
  for (int g = 0; g < group; ++g) {
    if (only_outside && !outside[g]) continue;
    scratch.q.set(rows, a.q + tile.sequence * q_stride + (head0 + g) * d, d);
    scratch.state[rows].clear(d);
    if (unified) scratch.state[rows].m = a.phi;
    which[rows++] = g;
  }
  if (rows == 0) return;
  if (!unified) {
    std::int64_t limit[kMaxRows];
    std::fill_n(limit, rows, end);
    attend(source, tile.kv_head, begin, end, scratch.q.row, limit, rows, d, a.scale, scratch.block, scratch.state);
  } else {
    alignas(32) A s[kMaxRows * kKvBlock];
    for (std::int64_t first = begin; first < end; first += kKvBlock) {
      const int n = static_cast<int>(std::min<std::int64_t>(kKvBlock, end - first));
      source.load(first, n, tile.kv_head, scratch.block);
      dot_block(scratch.q.row, rows, scratch.block.k, n, d, s, kKvBlock);
      for (int r = 0; r < rows; ++r) {
        if (outside[which[r]]) continue;
        if (!absorb_unified(scratch.state[r], s + r * kKvBlock, a.scale, a.low, a.high, scratch.block, n, d)) {
          outside[which[r]] = 1;
        }
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    const std::int64_t row = partial_row(a, tile, which[r]);
    std::copy_n(scratch.state[r].o, d, a.partials.o + row * d);
    a.partials.m[row] = scratch.state[r].m;
    a.partials.l[row] = scratch.state[r].l;
  }
}

/// All tiles, and in unified mode again those of the rows that left the band.
template <class T, class SourceOf>
void decode_tiles(const DecodeRows<T>& a, const SourceOf& source_of) {
  DecodeScratch<Accum<T>> scratch;
  const bool unified = a.softmax == SoftmaxMode::kUnified;
  if (unified) std::fill_n(a.outside, static_cast<std::int64_t>(a.batch) * a.heads, std::uint8_t{0});
  for (int pass = 0; pass < (unified ? 2 : 1); ++pass) {
    for (std::int64_t i = 0; i < a.tile_count; ++i) {
      decode_tile(a, source_of(a.tiles[i].sequence), a.tiles[i], pass == 1, scratch);
    }
  }
}

/// Output row `row` = sequence * heads + head from its splits.
template <class T>
void merge_row(const DecodeRows<T>& a, std::int64_t row) {
  using A = Accum<T>;
  const int d = a.head_dim;
  const std::int64_t sequence = row / a.heads, head = row % a.heads;
  const std::int64_t first = a.partials.offset[sequence], last = a.partials.offset[sequence + 1];
  RowState<A> whole;
  whole.clear(d);
  for (std::int64_t s = first; s < last; ++s) whole.m = std::max(whole.m, a.partials.m[s * a.heads + head]);
  for (std::int64_t s = first; s < last; ++s) {
    const std::int64_t part = s * a.heads + head;
    if (!(a.partials.l[part] > 0)) continue;                        // saw no key
    const A weight = kernel_exp(a.partials.m[part] - whole.m);      // exactly 1 for the largest
    whole.l += weight * a.partials.l[part];
    for (int c = 0; c < d; ++c) whole.o[c] += weight * a.partials.o[part * d + c];
  }
  finish_row(whole, d, a.out + row * d);
}

}  // namespace orrery
