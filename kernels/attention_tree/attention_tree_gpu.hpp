/// Tree verification on a GPU: the same arguments as on the CPU with every pointer in device memory, and how the keys
/// are split over thread blocks, as for decode rows.
///
///   LaunchPlan plan = plan_decode({.contexts = context_and_nodes, .kv_heads = 8, .units = processors, .block = 64});
///   gpu::attention_tree(args, {.tiles = device_tiles, .tile_count = ..., .most_nodes = 64, .partials = p}, stream);
///
/// The nodes of a tree and the heads of a group are packed into blocks of 128 rows that share a pass over the KV. bf16,
/// head size 64 or 128, at most 64 query heads a KV head; sm_80 and later.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/attention_tree/attention_tree.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

struct TreeLaunch {
  const LaunchTile* tiles = nullptr;         ///< of plan_decode over the tokens context + nodes; device memory
  std::int64_t tile_count = 0;
  std::int32_t most_nodes = 1;               ///< of one tree
  /// Of split sequences; offset[s] = sum over the trees before of splits * nodes, (sequences + 1).
  Partials<float> partials;
};

void attention_tree(const TreeArgs<Bf16>& args, const TreeLaunch& tree_launch, Stream stream);

}  // namespace orrery::ORRERY_GPU
