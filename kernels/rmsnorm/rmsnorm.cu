#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/rmsnorm/rmsnorm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kMaxThreads = 512;

/// A thread holds the vectors thread, thread + threads, ... of the row, kVectors of them at most.
template <int kVectors>
DEVICE_KERNEL(kMaxThreads, kVectors == 1 ? 4 : 2) rmsnorm_kernel(RmsNormArgs<Bf16> a) {
  const std::int64_t row = static_cast<std::int64_t>(block_index()) * a.dim;
  const auto vectors = static_cast<unsigned>(a.dim / 8);
  float sum[kVectors][8] = {}, squares = 0;
  Vec4 in[kVectors] = {}, before[kVectors] = {};
  DEVICE_UNROLL
  for (int i = 0; i < kVectors; ++i) {                          // all loads first
    const unsigned v = thread_index() + static_cast<unsigned>(i) * block_size();
    if (v >= vectors) continue;
    in[i] = load8(a.x + row + 8 * v);
    if (a.residual) before[i] = load8(a.residual + row + 8 * v);
  }
  DEVICE_UNROLL
  for (int i = 0; i < kVectors; ++i) {
    const unsigned v = thread_index() + static_cast<unsigned>(i) * block_size();
    if (v >= vectors) continue;
    unpack(in[i], sum[i]);
    if (a.residual) {
      float r[8];
      unpack(before[i], r);
      DEVICE_UNROLL
      for (int c = 0; c < 8; ++c) sum[i][c] += r[c];
      store8(a.residual + row + 8 * v, pack(sum[i]));
    }
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) squares += sum[i][c] * sum[i][c];
  }
  const float inverse = inverse_root(block_sum(squares, 0) / static_cast<float>(a.dim) + a.eps);
  DEVICE_UNROLL
  for (int i = 0; i < kVectors; ++i) {
    const unsigned v = thread_index() + static_cast<unsigned>(i) * block_size();
    if (v >= vectors) continue;
    float w[8];
    unpack(load8(a.weight + 8 * v), w);
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) w[c] *= sum[i][c] * inverse;
    store8(a.out + row + 8 * v, pack(w));
  }
}

}  // namespace

void rmsnorm(const RmsNormArgs<Bf16>& a, Stream stream) {
  require(a.dim > 0 && a.dim % 8 == 0 && a.dim <= 16384, "rmsnorm: dim: expected a multiple of 8, at most 16384");
  const unsigned vectors = ceil_div(a.dim, 8), each = vectors <= kMaxThreads ? 1 : vectors <= 2 * kMaxThreads ? 2 : 4;
  const LaunchShape shape{.grid = {static_cast<unsigned>(a.rows)},
                          .threads = ceil_div(ceil_div(vectors, each), 32) * 32,
                          .shared_bytes = kReductionBytes};
  each == 1   ? launch(rmsnorm_kernel<1>, shape, stream, a)
  : each == 2 ? launch(rmsnorm_kernel<2>, shape, stream, a)
              : launch(rmsnorm_kernel<4>, shape, stream, a);
}

}  // namespace orrery::ORRERY_GPU
