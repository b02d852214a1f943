#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/engine/weights_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 256;

DEVICE_FN float weight_at(const WeightStream& s, std::uint64_t i) {
  const std::uint64_t bits = mix64(s.key + 0x9e3779b97f4a7c15ull * (i + 1)) >> 11;
  return static_cast<float>(multiply_then_add(s.width, static_cast<double>(bits) * 0x1p-53 - 0.5, s.centre));
}

DEVICE_KERNEL(kThreads, 4) weights_kernel(WeightStream s, Bf16* out, std::int64_t n, std::int64_t first) {
  const std::int64_t at = (static_cast<std::int64_t>(block_index()) * kThreads + thread_index()) * 8;
  if (at + 8 <= n) {
    float x[8];
    DEVICE_UNROLL
    for (int c = 0; c < 8; ++c) x[c] = weight_at(s, static_cast<std::uint64_t>(first + at + c));
    store8(out + at, pack(x));
  } else {
    for (std::int64_t i = at; i < n; ++i)
      global_store(out + i, to<Bf16>(weight_at(s, static_cast<std::uint64_t>(first + i))));
  }
}

}  // namespace

void make_weights(const WeightStream& s, Bf16* out, std::int64_t n, Stream stream, std::int64_t first) {
  require(first % 8 == 0, "make_weights: first: expected a multiple of 8");
  launch(weights_kernel, {.grid = {ceil_div(n, 8 * kThreads)}, .threads = kThreads}, stream, s, out, n, first);
}

}  // namespace orrery::ORRERY_GPU
