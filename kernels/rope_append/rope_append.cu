#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/rope_append/rope_append_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 128;

/// Channels [c, c + 8) and [c + half, c + half + 8) of a head, turned.
DEVICE_FN void rotate(const Bf16* x, int half, const float (&cosine)[8], const float (&sine)[8], Bf16* out) {
  float low[8], high[8], turned_low[8], turned_high[8];
  unpack(load8(x), low);
  unpack(load8(x + half), high);
  DEVICE_UNROLL
  for (int c = 0; c < 8; ++c) {
    turned_low[c] = low[c] * cosine[c] - high[c] * sine[c];
    turned_high[c] = high[c] * cosine[c] + low[c] * sine[c];
  }
  store8(out, pack(turned_low));
  store8(out + half, pack(turned_high));
}

DEVICE_FN void load_floats(const float* p, float (&x)[8]) {
  DEVICE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const Vec4 v = global_load(reinterpret_cast<const Vec4*>(p) + i);
    DEVICE_UNROLL
    for (int c = 0; c < 4; ++c) x[4 * i + c] = bits_to_float(v.w[c]);
  }
}

/// A thread has the same channels of every (threads / vectors)-th head: queries first, then keys, then values.
DEVICE_KERNEL(kThreads, 8) rope_append_kernel(RopeAppendArgs<Bf16> a, std::int64_t q_stride, std::int64_t kv_stride) {
  const std::int64_t token = block_index();
  const int d = a.kv.head_dim, half = d / 2, vectors = half / 8;
  const int channel = static_cast<int>(thread_index()) % vectors * 8;
  const int first = static_cast<int>(thread_index()) / vectors, step = static_cast<int>(kThreads) / vectors;
  if (first >= step) return;                                     // the rest of threads that is no whole head
  const std::int32_t position = global_load(a.position + token);
  const std::int64_t page = global_load(a.kv.table + std::int64_t{global_load(a.sequence + token)} * a.kv.max_pages +
                                        position / a.kv.page_tokens);
  const std::int64_t place =
      (page * a.kv.page_tokens + position % a.kv.page_tokens) * a.kv.kv_heads * d + channel;
  float cosine[8], sine[8];
  load_floats(a.cosine + std::int64_t{position} * half + channel, cosine);
  load_floats(a.sine + std::int64_t{position} * half + channel, sine);
  for (int h = first; h < a.heads + 2 * a.kv.kv_heads; h += step) {
    const int key = h - a.heads, value = key - a.kv.kv_heads;
    if (key < 0) {
      Bf16* q = a.q + token * q_stride + h * d + channel;
      rotate(q, half, cosine, sine, q);
    } else if (value < 0) {
      rotate(a.k + token * kv_stride + key * d + channel, half, cosine, sine, a.kv.k + place + key * d);
    } else {
      const Bf16* v = a.v + token * kv_stride + value * d + channel;
      const Vec4 low = load8(v), high = load8(v + half);
      store8(a.kv.v + place + value * d, low);
      store8(a.kv.v + place + value * d + half, high);
    }
  }
}

}  // namespace

void rope_append(const RopeAppendArgs<Bf16>& a, Stream stream) {
  require(a.kv.head_dim > 0 && a.kv.head_dim % 16 == 0 && a.kv.head_dim <= 256,
          "rope_append: head_dim: expected a multiple of 16, at most 256");
  require(a.stride % 8 == 0, "rope_append: stride: expected a multiple of 8");
  const std::int64_t d = a.kv.head_dim;
  const std::int64_t q_stride = a.stride ? a.stride : a.heads * d, kv_stride = a.stride ? a.stride : a.kv.kv_heads * d;
  launch(rope_append_kernel, {.grid = {static_cast<unsigned>(a.tokens)}, .threads = kThreads}, stream, a, q_stride,
         kv_stride);
}

}  // namespace orrery::ORRERY_GPU
