#include "kernels/attention_tree/attention_tree.hpp"

#include "kernels/common/attention_core.hpp"

namespace orrery {
namespace {

constexpr int kMaxTail = kKvBlock + kMaxTreeNodes;   ///< what is left of the context, then the path

/// Keys at listed tokens of a sequence.
template <class T>
struct ListSource {
  PagedSource<T> from_pages;
  const std::int64_t* tokens;

  template <class A>
  void load(std::int64_t first, int n, std::int64_t head, KvBlock<A>& block) const {
    for (int j = 0; j < n; ++j) from_pages.load_one(tokens[first + j], j, head, block);
  }
};

template <class A>
struct TreeScratch {
  KvBlock<A> block;
  WideRows<A> q;
  RowState<A> state[kMaxRows];
};

/// The nodes [first, last) of one tree at one KV head: the whole blocks of the context together, the rest by node.
template <class T>
void tree_tile(const TreeArgs<T>& a, std::int32_t sequence, std::int32_t kv_head, int first, int last,
                             TreeScratch<Accum<T>>& scratch) {
  const int d = a.kv.head_dim, group = a.heads / a.kv.kv_heads;
  const std::int64_t row0 = a.node_offset[sequence], head0 = static_cast<std::int64_t>(kv_head) * group;
  const std::int64_t context = a.context[sequence], whole = context / kKvBlock * kKvBlock;
  const PagedSource<T> source{a.kv, sequence};
  std::int64_t limit[kMaxRows];
  int rows = 0;
  for (int node = first; node < last; ++node) {
    for (int g = 0; g < group; ++g, ++rows) {
      scratch.q.set(rows, a.q + ((row0 + node) * a.heads + head0 + g) * d, d);
      scratch.state[rows].clear(d);
      limit[rows] = whole;
    }
  }
  attend(source, kv_head, 0, whole, scratch.q.row, limit, rows, d, a.scale, scratch.block, scratch.state);
  for (int node = first; node < last; ++node) {
    std::int64_t tokens[kMaxTail];
    std::int64_t seen = 0;
    for (std::int64_t t = whole; t < context; ++t) tokens[seen++] = t;
    for (int j = 0; j <= node; ++j) {
      if (a.mask[row0 + node] >> j & 1) tokens[seen++] = context + j;
    }
    const int at = (node - first) * group;
    std::fill_n(limit, group, seen);
    attend(ListSource<T>{source, tokens}, kv_head, 0, seen, scratch.q.row + at, limit, group, d, a.scale,
                scratch.block, scratch.state + at);
    for (int g = 0; g < group; ++g) {
      finish_row(scratch.state[at + g], d, a.out + ((row0 + node) * a.heads + head0 + g) * d);
    }
  }
}

}  // namespace

template <class T>
void attention_tree(const TreeArgs<T>& a) {
  TreeScratch<Accum<T>> scratch;
  const int at_once = kMaxRows / (a.heads / a.kv.kv_heads);
  for (std::int32_t s = 0; s < a.sequences; ++s) {
    const int nodes = a.node_offset[s + 1] - a.node_offset[s];
    for (std::int32_t h = 0; h < a.kv.kv_heads; ++h) {
      for (int first = 0; first < nodes; first += at_once) {
        tree_tile(a, s, h, first, std::min(nodes, first + at_once), scratch);
      }
    }
  }
}

KERNEL_INSTANTIATE(attention_tree, TreeArgs)

}  // namespace orrery
