/// Causal attention of prompt chunks of different lengths over paged KV, in which the chunks' own keys and the cached
/// ones before them lie already (rope_append).
///
///   LaunchPlan plan = plan_prefill({.queries = q, .contexts = cached, .kv_heads = 8, .block = kKvBlock});
///   attention_prefill(PrefillArgs<float>{.q = q, .out = out, .q_offset = offsets, .context = cached, .kv = kv, ...});
///
/// A prompt cut into chunks gives the bits of the prompt at once: a row's keys are taken in blocks counted from the
/// sequence's start. Grouped queries (heads = group * kv_heads) share the loads of their KV head.
#pragma once

#include <cstdint>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"
#include "sim/base/launch_plan.hpp"

namespace orrery {

template <class T>
struct PrefillArgs {
  const T* q = nullptr;                     ///< (q_offset[sequences], heads, head_dim), rows q_stride apart
  T* out = nullptr;                         ///< (q_offset[sequences], heads, head_dim)
  const std::int32_t* q_offset = nullptr;   ///< (sequences + 1) first row of a chunk
  const std::int32_t* context = nullptr;    ///< (sequences) tokens before the chunk
  PagedKv<T> kv;
  std::int32_t sequences = 0, heads = 0;
  std::int64_t q_stride = 0;                ///< 0 = dense
  Accum<T> scale = 1;
  const LaunchTile* tiles = nullptr;        ///< any partition of the rows
  std::int64_t tile_count = 0;
};

template <class T>
void attention_prefill(const PrefillArgs<T>& args);

}  // namespace orrery
