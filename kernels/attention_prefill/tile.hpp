/// One tile of prefill attention on the CPU, shared with the mixed kernel.
///
///   PrefillScratch<A> scratch;   prefill_tile(args, tile, scratch);
#pragma once

#include <algorithm>

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/common/attention_core.hpp"

namespace orrery {

template <class A>
struct PrefillScratch {
  KvBlock<A> block;
  WideRows<A> q;
  RowState<A> state[kMaxRows];
};

template <class T>
void prefill_tile(const PrefillArgs<T>& a, const LaunchTile& tile, PrefillScratch<Accum<T>>& scratch) {
  const int d = a.kv.head_dim, group = a.heads / a.kv.kv_heads, at_once = kMaxRows / group;
  const std::int64_t q_stride = a.q_stride ? a.q_stride : static_cast<std::int64_t>(a.heads) * d;
  const std::int64_t row0 = a.q_offset[tile.sequence], head0 = static_cast<std::int64_t>(tile.kv_head) * group;
  for (int t0 = tile.q_begin; t0 < tile.q_end; t0 += at_once) {
    const int t1 = std::min(tile.q_end, t0 + at_once);
    std::int64_t limit[kMaxRows];
    int rows = 0;
    for (int t = t0; t < t1; ++t) {
      for (int g = 0; g < group; ++g, ++rows) {
        scratch.q.set(rows, a.q + (row0 + t) * q_stride + (head0 + g) * d, d);
        scratch.state[rows].clear(d);
        limit[rows] = a.context[tile.sequence] + t + 1;
      }
    }
    attend(PagedSource<T>{a.kv, tile.sequence}, tile.kv_head, 0, a.context[tile.sequence] + t1, scratch.q.row, limit,
                rows, d, a.scale, scratch.block, scratch.state);
    for (int r = 0; r < rows; ++r) {
      finish_row(scratch.state[r], d, a.out + ((row0 + t0 + r / group) * a.heads + head0 + r % group) * d);
    }
  }
}

}  // namespace orrery
