#include "kernels/rope_append/rope_append.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/common/simd.hpp"

namespace orrery {
namespace {

/// out may be x.
template <class T>
void rotate(const T* x, const Accum<T>* cosine, const Accum<T>* sine, std::int32_t half, T* out) {
  for (std::int32_t c = 0; c < half; ++c) {
    const Accum<T> a = from(x[c]), b = from(x[c + half]);
    out[c] = to<T>(a * cosine[c] - b * sine[c]);
    out[c + half] = to<T>(b * cosine[c] + a * sine[c]);
  }
}

}  // namespace

template <class T>
void rope_append(const RopeAppendArgs<T>& a) {
  const std::int32_t d = a.kv.head_dim, half = d / 2;
  const std::int64_t q_stride = a.stride ? a.stride : a.heads * d, kv_stride = a.stride ? a.stride : a.kv.kv_heads * d;
  for (std::int64_t t = 0; t < a.tokens; ++t) {
    const Accum<T>* cosine = a.cosine + static_cast<std::int64_t>(a.position[t]) * half;
    const Accum<T>* sine = a.sine + static_cast<std::int64_t>(a.position[t]) * half;
    for (std::int32_t h = 0; h < a.heads; ++h) {
      T* q = a.q + t * q_stride + h * d;
      rotate(q, cosine, sine, half, q);
    }
    for (std::int32_t h = 0; h < a.kv.kv_heads; ++h) {
      rotate(a.k + t * kv_stride + h * d, cosine, sine, half, a.kv.key(a.sequence[t], a.position[t], h));
      std::copy_n(a.v + t * kv_stride + h * d, d, a.kv.value(a.sequence[t], a.position[t], h));
    }
  }
}

template <class A>
RopeTable<A>::RopeTable(std::int64_t positions, std::int32_t head_dim, double base) {
  const std::int32_t half = head_dim / 2;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int32_t c = 0; c < half; ++c) {
      const double angle = static_cast<double>(p) * std::pow(base, -2.0 * c / head_dim);
      cosine_.push_back(static_cast<A>(std::cos(angle)));
      sine_.push_back(static_cast<A>(std::sin(angle)));
    }
  }
}
template class RopeTable<float>;
template class RopeTable<double>;

KERNEL_INSTANTIATE(rope_append, RopeAppendArgs)

}  // namespace orrery
