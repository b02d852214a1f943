/// Decode attention on a GPU, the same arguments as on the CPU with every pointer in device memory:
///
///   gpu::attention_decode(DecodeArgs<Bf16>{rows, kv}, stream);
///
/// bf16, head size 64 or 128, at most 64 query heads a KV head (blocks of 16 share a pass over the KV). Tiles of the
/// plan are thread blocks; tiles with q_begin = q_end do nothing, so that launches of one size serve plans of many.
/// Rows of one split are written at once, others by a second, small kernel. Unified maximum: a second pass over the
/// rows that left the band; two launches more, which return at once if there are none.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

/// The partial results of all tiles, for merging with others' (ring attention, KV on several devices).
void attention_partial(const DecodeArgs<Bf16>& args, Stream stream);
/// out from the partial results.
void merge_partials(const DecodeRows<Bf16>& rows, Stream stream);
/// Both, and in unified mode the second pass over rows that left the band.
void attention_decode(const DecodeArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
