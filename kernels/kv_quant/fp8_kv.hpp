/// Keys and values in fp8 e4m3, with one scale a KV head each: half the bytes of bf16.
///
///   fp8_append(Fp8AppendArgs<float>{.k = k, .v = v, ..., .kv = pool, .k_scale = ks, .v_scale = vs, .tokens = n});
///   fp8_decode(Fp8DecodeArgs<float>{rows, pool, ks, vs});
///
/// stored = round(x / scale), saturating at 448; |x - scale * stored| <= max(2^-4 |x|, 2^-10 scale) below that.
#pragma once

#include "kernels/attention_decode/attention_decode.hpp"

namespace orrery {

template <class T>
struct Fp8AppendArgs {
  const T* k = nullptr;                    ///< (tokens, kv_heads, head_dim), rotated, rows `stride` apart
  const T* v = nullptr;                    ///< the same
  const std::int32_t* sequence = nullptr;  ///< (tokens)
  const std::int32_t* position = nullptr;  ///< (tokens)
  PagedKv<Fp8> kv;                         ///< written
  const float* k_scale = nullptr;          ///< (kv_heads)
  const float* v_scale = nullptr;          ///< (kv_heads)
  std::int64_t tokens = 0;
  std::int64_t stride = 0;                 ///< 0 = dense
};
template <class T>
void fp8_append(const Fp8AppendArgs<T>& args);

template <class T>
struct Fp8DecodeArgs {
  DecodeRows<T> rows;
  PagedKv<Fp8> kv;
  const float* k_scale = nullptr;          ///< (kv_heads)
  const float* v_scale = nullptr;          ///< (kv_heads)
};
template <class T>
void fp8_decode(const Fp8DecodeArgs<T>& args);

}  // namespace orrery
