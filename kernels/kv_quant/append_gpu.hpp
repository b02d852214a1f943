/// Quantising and appending KV on a GPU, in bf16; the same bits in the pool as fp8_kv.hpp and kivi.hpp leave there.
///
///   gpu::fp8_append(args, stream);
///   gpu::kivi_append({.k = k, .v = v, .offset = q_offset, .context = context, .kv = pool, .sequences = 4,
///                     .most_tokens = 512}, stream);
///
/// kivi_append takes whole chunks, as prefill attention does, as what a token pushes out of the recent ones depends on
/// its neighbours: what leaves is quantised first (values token by token, keys when `residual` of them are complete),
/// from the pool or from the chunk itself, then the newest are stored. head_dim is a multiple of 32 (fp8: of 8),
/// strides of 8, pointers of 16 bytes. Throw std::invalid_argument.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/kv_quant/fp8_kv.hpp"
#include "kernels/kv_quant/kivi.hpp"

namespace orrery::ORRERY_GPU {

struct KiviChunks {
  const Bf16* k = nullptr;                  ///< (tokens, kv_heads, head_dim), rotated, rows `stride` apart
  const Bf16* v = nullptr;                  ///< the same
  const std::int32_t* offset = nullptr;     ///< (sequences + 1) first row of each sequence
  const std::int32_t* context = nullptr;    ///< (sequences) tokens in the pool already; a row of the table each
  KiviPool<Bf16> kv;                        ///< written
  std::int32_t sequences = 0;
  std::int32_t most_tokens = 1;             ///< new ones of one sequence
  std::int64_t stride = 0;                  ///< 0 = dense
};

void fp8_append(const Fp8AppendArgs<Bf16>& args, Stream stream);
void kivi_append(const KiviChunks& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
