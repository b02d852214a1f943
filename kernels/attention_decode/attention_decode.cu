#include "kernels/attention_decode/attention_decode_gpu.hpp"

#include "kernels/attention_decode/bf16_kv.cuh"
#include "kernels/attention_decode/decode_launch.cuh"

namespace orrery::ORRERY_GPU {
namespace {

struct Bf16Source {
  DecodeRows<Bf16> rows;
  PagedKv<Bf16> kv;
  std::int32_t page_shift;

  template <int kHeadDim>
  DEVICE_FN Bf16Kv<kHeadDim> of(std::int32_t sequence, std::int32_t kv_head, std::int32_t kv_len) const {
    return {{kv, page_shift, sequence, kv_head, kv_len}};
  }
};

}  // namespace

void attention_partial(const DecodeArgs<Bf16>& a, Stream stream) {
  launch_decode(Bf16Source{a.rows, a.kv, shift_of(a.kv.page_tokens)}, true, stream);
}

void merge_partials(const DecodeRows<Bf16>& a, Stream stream) {
  merge_parts({.partials = a.partials, .out = a.out, .heads = a.heads, .head_dim = a.head_dim, .sequences = a.batch,
                  .unsplit_too = true}, stream);
}

void attention_decode(const DecodeArgs<Bf16>& a, Stream stream) {
  launch_decode(Bf16Source{a.rows, a.kv, shift_of(a.kv.page_tokens)}, false, stream);
}

}  // namespace orrery::ORRERY_GPU
