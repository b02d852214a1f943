/// Prefill attention on a GPU, the same arguments as on the CPU with every pointer in device memory:
///
///   plan_prefill({..., .rows = gpu::prefill_tile_tokens(heads / kv_heads)});   gpu::attention_prefill(args, stream);
///
/// bf16, head size 64 or 128, at most 64 query heads a KV head; sm_80 and later. A tile is a thread block; tiles of
/// more tokens than prefill_tile_tokens() are done in several turns.
#pragma once

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

/// Query tokens of a tile that fills a thread block's 128 rows.
constexpr std::int32_t prefill_tile_tokens(std::int32_t group) { return 128 / group; }

void attention_prefill(const PrefillArgs<Bf16>& args, Stream stream);

/// The same with specialised warpgroups, wgmma and the copy engine, on sm_90a only (FlashAttention-3). `query_rows` is
/// q_offset[sequences]. Sums are in another order than attention_prefill's, so are the last bits.
void attention_prefill_warpgroups(const PrefillArgs<Bf16>& args, std::int64_t query_rows, Stream stream);
/// If this device has them, and the pages are boxes of the copy engine: a multiple of 8 tokens that divides 128, or a
/// multiple of 128.
bool prefill_warpgroups_can(const PrefillArgs<Bf16>& args);

}  // namespace orrery::ORRERY_GPU
