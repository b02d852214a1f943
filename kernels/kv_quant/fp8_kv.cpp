#include "kernels/kv_quant/fp8_kv.hpp"

#include "kernels/attention_decode/tile.hpp"

namespace orrery {
namespace {

template <class T>
struct Fp8Source {
  const Fp8DecodeArgs<T>& a;
  std::int32_t sequence;

  template <class A>
  void load(std::int64_t first, int n, std::int64_t head, KvBlock<A>& block) const {
    const A ks = a.k_scale[head], vs = a.v_scale[head];
    for (int j = 0; j < n; ++j) {
      const std::int64_t at = a.kv.offset(sequence, first + j, head);
      for (int c = 0; c < a.kv.head_dim; ++c) {
        block.wide[0][j][c] = ks * from(a.kv.k[at + c]);
        block.wide[1][j][c] = vs * from(a.kv.v[at + c]);
      }
      block.k[j] = block.wide[0][j];
      block.v[j] = block.wide[1][j];
    }
  }
};

}  // namespace

template <class T>
void fp8_append(const Fp8AppendArgs<T>& a) {
  const std::int32_t d = a.kv.head_dim;
  const std::int64_t stride = a.stride ? a.stride : static_cast<std::int64_t>(a.kv.kv_heads) * d;
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    for (std::int32_t h = 0; h < a.kv.kv_heads; ++h) {
      const std::int64_t from_at = t * stride + h * d, at = a.kv.offset(a.sequence[t], a.position[t], h);
      for (std::int32_t c = 0; c < d; ++c) {
        a.kv.k[at + c] = to<Fp8>(static_cast<float>(from(a.k[from_at + c])) / a.k_scale[h]);
        a.kv.v[at + c] = to<Fp8>(static_cast<float>(from(a.v[from_at + c])) / a.v_scale[h]);
      }
    }
  }
}

template <class T>
void fp8_decode(const Fp8DecodeArgs<T>& a) {
  decode_tiles(a.rows, [&](std::int32_t sequence) { return Fp8Source<T>{a, sequence}; });
  merge_partials(a.rows);
}

KERNEL_INSTANTIATE(fp8_append, Fp8AppendArgs)
KERNEL_INSTANTIATE(fp8_decode, Fp8DecodeArgs)

}  // namespace orrery
