#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 256;
constexpr int kEach = 2;                      ///< vectors of a thread, a block's width apart

DEVICE_KERNEL(kThreads, 4) swiglu_kernel(SwigluArgs<Bf16> a) {
  const auto width = static_cast<unsigned>(a.dim / 8), all = static_cast<unsigned>(a.rows) * width;
  const unsigned first = block_index() * kThreads * kEach + thread_index();
  Vec4 gate[kEach] = {}, up[kEach] = {};
  DEVICE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const unsigned v = first + static_cast<unsigned>(i) * kThreads;
    if (v >= all) continue;
    const Bf16* row = a.gate_up + static_cast<std::int64_t>(v / width) * 2 * a.dim + v % width * 8;
    gate[i] = global_load_once(reinterpret_cast<const Vec4*>(row));
    up[i] = global_load_once(reinterpret_cast<const Vec4*>(row + a.dim));
  }
  DEVICE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const unsigned v = first + static_cast<unsigned>(i) * kThreads;
    if (v >= all) continue;
    float g[8], u[8];
    unpack(gate[i], g);
    unpack(up[i], u);
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) u[c] *= g[c] * fast_reciprocal(1 + fast_exp(-g[c]));
    store8(a.out + static_cast<std::int64_t>(v) * 8, pack(u));
  }
}

}  // namespace

void swiglu(const SwigluArgs<Bf16>& a, Stream stream) {
  require(a.dim > 0 && a.dim % 8 == 0 && a.rows * a.dim / 8 < std::int64_t{1} << 31,
          "swiglu: dim: expected a multiple of 8; rows * dim: expected less than 2^34");
  launch(swiglu_kernel, {.grid = {ceil_div(a.rows * a.dim / 8, kThreads * kEach)}, .threads = kThreads}, stream, a);
}

}  // namespace orrery::ORRERY_GPU
