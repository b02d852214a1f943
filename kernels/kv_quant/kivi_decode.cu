#include "kernels/attention_decode/decode_launch.cuh"
#include "kernels/kv_quant/kivi_kv.cuh"
#include "kernels/kv_quant/kv_quant_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

template <int kBits>
struct KiviSource {
  DecodeRows<Bf16> rows;
  KiviPool<Bf16> pool;

  template <int kHeadDim>
  DEVICE_FN KiviKv<kHeadDim, kBits> of(std::int32_t sequence, std::int32_t kv_head, std::int32_t kv_len) const {
    const std::int32_t old_values = kv_len - pool.residual;
    return {pool, sequence, kv_head, kv_len / pool.residual * pool.residual, old_values < 0 ? 0 : old_values};
  }
};

}  // namespace

void kivi_decode(const KiviDecodeArgs<Bf16>& a, Stream stream) {
  if (a.kv.bits == 4) launch_decode(KiviSource<4>{a.rows, a.kv}, false, stream);
  else launch_decode(KiviSource<2>{a.rows, a.kv}, false, stream);
}

}  // namespace orrery::ORRERY_GPU
