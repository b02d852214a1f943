#include "kernels/attention_mixed/attention_mixed_gpu.hpp"

#include "kernels/attention_decode/bf16_kv.cuh"
#include "kernels/attention_decode/decode_block.cuh"
#include "kernels/attention_decode/merge_gpu.hpp"
#include "kernels/attention_prefill/prefill_tile.cuh"

namespace orrery::ORRERY_GPU {
namespace {

static_assert(kPrefillThreads == kDecodeThreads);

template <int kHeadDim>
DEVICE_KERNEL(kPrefillThreads, 2) mixed_kernel(DEVICE_PARAMETER MixedArgs<Bf16> a, std::int32_t prefill_shift,
                                               std::int32_t decode_shift) {
  LaunchTile tile = global_load(a.tiles + block_index());
  if (!tile.decode) {
    prefill_tile<kHeadDim>(a.prefill, a.tiles + block_index(), prefill_shift);
  } else {
    tile.sequence -= a.prefill.sequences;
    const std::int32_t kv_len = global_load(a.decode.rows.kv_len + tile.sequence);
    const Bf16Kv<kHeadDim> format{{a.decode.kv, decode_shift, tile.sequence, tile.kv_head, kv_len}};
    for (std::int32_t row0 = 0; row0 < a.decode.rows.heads / a.decode.rows.kv_heads; row0 += kDecodeRows) {
      if (row0 > 0) sync_threads();
      decode_block<Bf16Kv<kHeadDim>, kHeadDim, false>({a.decode.rows, tile, row0}, format, kv_len);
    }
  }
}

template <int kHeadDim>
void launch_mixed(const MixedArgs<Bf16>& a, Stream stream) {
  constexpr std::uint32_t kPrefill = prefill_shared_bytes<kHeadDim>();
  constexpr std::uint32_t kDecode = decode_shared_bytes<Bf16Kv<kHeadDim>, kHeadDim>();
  launch(mixed_kernel<kHeadDim>,
         {.grid = {static_cast<unsigned>(a.tile_count)}, .threads = kPrefillThreads,
          .shared_bytes = kPrefill > kDecode ? kPrefill : kDecode},
         stream, a, shift_of(a.prefill.kv.page_tokens), shift_of(a.decode.kv.page_tokens));
}

}  // namespace

void attention_mixed(const MixedArgs<Bf16>& a, Stream stream) {
  const DecodeRows<Bf16>& rows = a.decode.rows;
  if (rows.head_dim == 128) launch_mixed<128>(a, stream);
  else launch_mixed<64>(a, stream);
  if (!rows.partials.offset) return;                             // nothing is split
  merge_parts({.partials = rows.partials, .out = rows.out, .heads = rows.heads, .head_dim = rows.head_dim,
               .sequences = rows.batch}, stream);
}

}  // namespace orrery::ORRERY_GPU
