/// Verification of a tree of drafted tokens in one pass (SpecInfer, ASPLOS'24): every node attends to the committed
/// context and to the nodes on its own path. The nodes' keys lie behind the context, node i at token context + i.
///
///   attention_tree(TreeArgs<float>{.q = q, .out = out, .node_offset = offsets, .context = lengths, .mask = masks,
///       ...});
///
/// Parents come before children. The result of a node is, bit for bit, that of plain decoding along its path. The
/// context's whole blocks are loaded once for all nodes.
#pragma once

#include <cstdint>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"

namespace orrery {

inline constexpr int kMaxTreeNodes = 64;

template <class T>
struct TreeArgs {
  const T* q = nullptr;                       ///< (node_offset[sequences], heads, head_dim)
  T* out = nullptr;                           ///< the same
  const std::int32_t* node_offset = nullptr;  ///< (sequences + 1) first node of a tree; at most 64 nodes each
  const std::int32_t* context = nullptr;      ///< (sequences) committed tokens
  const std::uint64_t* mask = nullptr;        ///< (nodes) bit j: node j of the same tree is seen; own bit included
  PagedKv<T> kv;
  std::int32_t sequences = 0, heads = 0;
  Accum<T> scale = 1;
};

template <class T>
void attention_tree(const TreeArgs<T>& args);

}  // namespace orrery
