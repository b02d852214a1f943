/// Merging partial attention results on a GPU: of decode rows, and of the nodes of drafted trees.
///
///   gpu::merge_parts({.partials = p, .out = out, .heads = 32, .head_dim = 128, .sequences = batch}, stream);
///
/// A row's parts are weighed by exp(m) and added in the order of the splits, so that the result does not depend on
/// which part was computed first. Rows whose sequence has one split are left alone unless `unsplit_too`: who computed
/// them wrote them.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

/// Part `split` of node `i` of sequence s is row (offset[s] + split * nodes + i) * heads + head of the partials, where
/// nodes = row_offset[s + 1] - row_offset[s], or 1 if there are no row offsets.
struct MergeArgs {
  Partials<float> partials;                ///< device memory; offset (sequences + 1) in units of rows of all heads
  Bf16* out = nullptr;                     ///< (rows, heads, head_dim)
  const std::int32_t* row_offset = nullptr;   ///< (sequences + 1) first row of a sequence; null: one row each
  std::int32_t heads = 0, head_dim = 64;   ///< 64 or 128
  std::int32_t sequences = 0;
  std::int32_t most_rows = 1;              ///< of one sequence
  bool unsplit_too = false;                ///< their partial results, too, are in the memory of `partials`
};

void merge_parts(const MergeArgs& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
