#include "kernels/attention_tree/attention_tree_gpu.hpp"

#include "kernels/attention_decode/merge_gpu.hpp"
#include "kernels/attention_prefill/prefill_block.cuh"

namespace orrery::ORRERY_GPU {
namespace {

/// A node sees the committed context and, of the tree, what its mask says: nodes up to itself.
struct TreeMask {
  std::int32_t context;
  const std::uint64_t* mask;                 ///< of the sequence's first node

  struct Row {
    std::int32_t context, end;
    std::uint64_t bits;
    DEVICE_FN bool sees(std::int32_t key) const {
      return key < context || (key < end && (bits >> (key - context) & 1) != 0);
    }
    DEVICE_FN std::int32_t all_before() const { return context; }
    DEVICE_FN std::int32_t none_from() const { return end; }
  };
  DEVICE_FN Row row(std::int32_t node) const { return {context, context + node + 1, global_load(mask + node)}; }
  DEVICE_FN static Row no_row() { return {0, 0, 0}; }
};

template <int kHeadDim>
DEVICE_KERNEL(kPrefillThreads, 2)
tree_kernel(DEVICE_PARAMETER TreeArgs<Bf16> a, DEVICE_PARAMETER TreeLaunch l, std::int32_t page_shift) {
  const LaunchTile tile = global_load(l.tiles + block_index());
  const std::int32_t group = a.heads / a.kv.kv_heads, at_once = kPrefillRows / group;
  const std::int32_t row0 = global_load(a.node_offset + tile.sequence);
  const std::int32_t nodes = global_load(a.node_offset + tile.sequence + 1) - row0;
  const std::int32_t first = static_cast<std::int32_t>(block_index_y()) * at_once;
  if (first >= nodes) return;
  const std::int32_t last = first + at_once < nodes ? first + at_once : nodes;
  const std::int32_t context = global_load(a.context + tile.sequence), head0 = tile.kv_head * group;
  const std::int32_t split_end = tile.block_end * kPlanBlock;
  const std::int32_t end = split_end < context + last ? split_end : context + last;
  const std::int64_t width = std::int64_t{a.heads} * kHeadDim;
  prefill_block<kHeadDim, TreeMask>(
      {.q = a.q + (row0 + first) * width + std::int64_t{head0} * kHeadDim, .q_stride = width, .group = group,
       .first_token = first, .tokens = last - first, .in = {a.kv, page_shift, tile.sequence, tile.kv_head, end},
       .begin = tile.block_begin * kPlanBlock, .end = end, .scale = a.scale, .mask = {context, a.mask + row0}},
      [&]() -> PrefillTarget {
        const LaunchTile again = global_load(l.tiles + block_index());
        const std::int32_t node0 = global_load(a.node_offset + again.sequence);
        const std::int32_t all = global_load(a.node_offset + again.sequence + 1) - node0;
        const bool partial = again.splits > 1;
        std::int64_t row = static_cast<std::int32_t>(block_index_y()) * (kPrefillRows / group);
        row += partial ? global_load(l.partials.offset + again.sequence) + std::int64_t{again.split} * all : node0;
        return {.out = a.out, .partials = l.partials, .base = row * a.heads + again.kv_head * group, .heads = a.heads,
                .partial = partial};
      });
}

template <int kHeadDim>
void launch_tree(const TreeArgs<Bf16>& a, const TreeLaunch& l, Stream stream) {
  const std::int32_t at_once = kPrefillRows / (a.heads / a.kv.kv_heads);
  launch(tree_kernel<kHeadDim>,
         {.grid = {static_cast<unsigned>(l.tile_count), ceil_div(l.most_nodes, at_once)}, .threads = kPrefillThreads,
          .shared_bytes = prefill_shared_bytes<kHeadDim>()},
         stream, a, l, shift_of(a.kv.page_tokens));
}

}  // namespace

void attention_tree(const TreeArgs<Bf16>& a, const TreeLaunch& l, Stream stream) {
  if (a.kv.head_dim == 128) launch_tree<128>(a, l, stream);
  else launch_tree<64>(a, l, stream);
  if (l.tile_count == std::int64_t{a.sequences} * a.kv.kv_heads) return;
  merge_parts({.partials = l.partials, .out = a.out, .row_offset = a.node_offset, .heads = a.heads,
               .head_dim = a.kv.head_dim, .sequences = a.sequences, .most_rows = l.most_nodes}, stream);
}

}  // namespace orrery::ORRERY_GPU
