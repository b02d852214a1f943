#include "kernels/attention_decode/decode_launch.cuh"
#include "kernels/kv_quant/fp8_kv.cuh"
#include "kernels/kv_quant/kv_quant_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

struct Fp8Source {
  DecodeRows<Bf16> rows;
  PagedKv<Fp8> kv;
  const float* k_scale;
  const float* v_scale;
  std::int32_t page_shift;

  template <int kHeadDim>
  DEVICE_FN Fp8Kv<kHeadDim> of(std::int32_t sequence, std::int32_t kv_head, std::int32_t kv_len) const {
    return {{kv, page_shift, sequence, kv_head, kv_len},
            global_load(k_scale + kv_head),
            global_load(v_scale + kv_head)};
  }
};

}  // namespace

void fp8_decode(const Fp8DecodeArgs<Bf16>& a, Stream stream) {
  launch_decode(Fp8Source{a.rows, a.kv, a.k_scale, a.v_scale, shift_of(a.kv.page_tokens)}, false, stream);
}

}  // namespace orrery::ORRERY_GPU
