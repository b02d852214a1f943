/// Decode attention over quantised KV on a GPU, dequantised in registers; the same arguments as on the CPU with every
/// pointer in device memory.
///
///   gpu::fp8_decode(Fp8DecodeArgs<Bf16>{rows, pool, ks, vs}, stream);
///   gpu::kivi_decode(KiviDecodeArgs<Bf16>{rows, pool}, stream);
///
/// Queries, and KIVI's recent tokens, must be below 65504 (products in f16). Every row takes its own maximum, also
/// where `softmax` asks for the unified one: weights in f16 would underflow; `outside` is then all zeros. KIVI's memory
/// must be aligned to 16 bytes. Limits else as of gpu::attention_decode.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/kv_quant/fp8_kv.hpp"
#include "kernels/kv_quant/kivi.hpp"

namespace orrery::ORRERY_GPU {

void fp8_decode(const Fp8DecodeArgs<Bf16>& args, Stream stream);
void kivi_decode(const KiviDecodeArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
