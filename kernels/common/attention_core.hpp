/// The inner loop that all attention kernels of the CPU share: some query rows meet a block of at most 64 keys and
/// update their running result (o, m, l): m the largest score so far, l = sum of exp(s - m), o = sum of exp(s - m) v.
///
/// Blocks are cut at multiples of 64 from the row's first key, and a row's arithmetic depends on its own keys alone. So
/// results are equal bit for bit between paged and contiguous KV, chunked and one-shot prefill, prefill and unsplit
/// decode, a tree node and its path, and in any batch.
///
/// A source of KV (`Source`) says where the keys of a block lie: `void load(first, n, head, KvBlock<A>&)`; float and
/// double are read in place, other formats are widened into the block's own memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"
#include "kernels/common/simd.hpp"

namespace orrery {

inline constexpr int kKvBlock = 64;             ///< keys of a block
inline constexpr int kMaxHeadDim = 256;
inline constexpr int kMaxRows = 64;             ///< query rows that share a block

template <class A>
struct KvBlock {
  const A* k[kKvBlock];                         ///< head_dim numbers each
  const A* v[kKvBlock];
  A wide[2][kKvBlock][kMaxHeadDim];             ///< memory for formats that are widened
};

/// Keys of one sequence in a paged pool.
template <class T>
struct PagedSource {
  const PagedKv<T>& kv;
  std::int64_t sequence;

  template <class A>
  void load(std::int64_t first, int n, std::int64_t head, KvBlock<A>& block) const {
    for (int j = 0; j < n; ++j) load_one(first + j, j, head, block);
  }
  /// Token `token` as the j-th of the block.
  template <class A>
  void load_one(std::int64_t token, int j, std::int64_t head, KvBlock<A>& block) const {
    const std::int64_t at = kv.offset(sequence, token, head);
    if constexpr (std::is_same_v<T, A>) {
      block.k[j] = kv.k + at;
      block.v[j] = kv.v + at;
    } else {
      for (int c = 0; c < kv.head_dim; ++c) {
        block.wide[0][j][c] = from(kv.k[at + c]);
        block.wide[1][j][c] = from(kv.v[at + c]);
      }
      block.k[j] = block.wide[0][j];
      block.v[j] = block.wide[1][j];
    }
  }
};

/// Running result of one query row.
template <class A>
struct RowState {
  A o[kMaxHeadDim];
  A m, l;

  void clear(int head_dim) {
    std::fill_n(o, head_dim, A{});
    m = -std::numeric_limits<A>::infinity();
    l = 0;
  }
};

/// One row takes in the keys [0, n) of a block, whose scores (unscaled) are s. Rescales as the maximum grows.
template <class A>
void absorb(RowState<A>& row, const A* s, A scale, const KvBlock<A>& block, int n, int head_dim);

/// The same with a maximum fixed beforehand (row.m = phi): nothing is rescaled. False, and the row is lost, if a score
/// leaves [phi + low, phi + high].
template <class A>
bool absorb_unified(RowState<A>& row, const A* s, A scale, A low, A high, const KvBlock<A>& block, int n, int head_dim);

/// Rows share the keys [begin, end) of `source`, row r only those before limit[r]; begin is a multiple of the block.
/// `q` holds the rows, widened to A.
template <class A, class Source>
void attend(const Source& source, std::int64_t head, std::int64_t begin, std::int64_t end, const A* const* q,
            const std::int64_t* limit, int rows, int head_dim, A scale, KvBlock<A>& block, RowState<A>* state) {
  alignas(32) A s[kMaxRows * kKvBlock];
  for (std::int64_t first = begin; first < end; first += kKvBlock) {
    const int n = static_cast<int>(std::min<std::int64_t>(kKvBlock, end - first));
    source.load(first, n, head, block);
    dot_block(q, rows, block.k, n, head_dim, s, kKvBlock);
    for (int r = 0; r < rows; ++r) {
      const int seen = static_cast<int>(std::clamp<std::int64_t>(limit[r] - first, 0, n));
      if (seen > 0) absorb(state[r], s + r * kKvBlock, scale, block, seen, head_dim);
    }
  }
}

/// Query rows widened to A: in place where they have that type already.
template <class A>
struct WideRows {
  const A* row[kMaxRows];
  A wide[kMaxRows][kMaxHeadDim];

  template <class T>
  void set(int r, const T* q, int head_dim) {
    if constexpr (std::is_same_v<T, A>) {
      row[r] = q;
    } else {
      for (int c = 0; c < head_dim; ++c) wide[r][c] = from(q[c]);
      row[r] = wide[r];
    }
  }
};

/// out = o / l, rounded to T; zeros for a row that saw no key.
template <class T, class A>
void finish_row(const RowState<A>& row, int head_dim, T* out) {
  const A inverse = row.l > 0 ? 1 / row.l : A{};
  for (int c = 0; c < head_dim; ++c) out[c] = to<T>(row.o[c] * inverse);
}

}  // namespace orrery
