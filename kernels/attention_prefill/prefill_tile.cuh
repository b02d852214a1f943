/// A tile of the launch plan as blocks of at most 128 packed rows; shared with the mixed kernel.
#pragma once

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/attention_prefill/prefill_block.cuh"

namespace orrery::ORRERY_GPU {

template <int kHeadDim>
DEVICE_FN void prefill_tile(const PrefillArgs<Bf16>& a, const LaunchTile* at, std::int32_t page_shift) {
  const std::int32_t group = a.heads / a.kv.kv_heads, at_once = kPrefillRows / group;
  const LaunchTile tile = global_load(at);
  const std::int64_t q_stride = a.q_stride ? a.q_stride : std::int64_t{a.heads} * kHeadDim;
  const std::int64_t row0 = global_load(a.q_offset + tile.sequence), head0 = std::int64_t{tile.kv_head} * group;
  const std::int32_t context = global_load(a.context + tile.sequence);
  for (std::int32_t t0 = tile.q_begin; t0 < tile.q_end; t0 += at_once) {
    const std::int32_t t1 = t0 + at_once < tile.q_end ? t0 + at_once : tile.q_end;
    const std::int32_t end = context + t1;
    if (t0 > tile.q_begin) sync_threads();
    prefill_block<kHeadDim, CausalMask>(
        {.q = a.q + (row0 + t0) * q_stride + head0 * kHeadDim, .q_stride = q_stride, .group = group, .first_token = t0,
         .tokens = t1 - t0, .in = {a.kv, page_shift, tile.sequence, tile.kv_head, end}, .begin = 0, .end = end,
         .scale = a.scale, .mask = {context}},
        [&]() -> PrefillTarget {
          const LaunchTile again = global_load(at);
          const std::int64_t row = std::int64_t{global_load(a.q_offset + again.sequence)} + t0;
          return {.out = a.out, .partials = {}, .base = row * a.heads + again.kv_head * (a.heads / a.kv.kv_heads),
                  .heads = a.heads, .partial = false};
        });
  }
}

}  // namespace orrery::ORRERY_GPU
