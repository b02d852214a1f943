#include "kernels/device/require.hpp"
#include "kernels/device/vector.hpp"
#include "kernels/gemm/gemm_gpu.hpp"

namespace orrery::ORRERY_GPU {
namespace {

constexpr unsigned kThreads = 128;
constexpr int kOutputs = 4;                   ///< weight rows of a block
constexpr int kSteps = 2;                     ///< loads of each row in flight

/// All threads divide k: 8 elements each, then 1024 further. kRows activation rows.
template <int kRows>
DEVICE_KERNEL(kThreads, 4) gemv_kernel(GemmArgs<Bf16> a) {
  const std::int64_t n0 = static_cast<std::int64_t>(block_index()) * kOutputs;
  float sum[kOutputs][kRows] = {};
  for (std::int64_t k0 = 8 * thread_index(); k0 < a.k; k0 += kSteps * kThreads * 8) {
    Vec4 weights[kSteps][kOutputs] = {};
    DEVICE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      const std::int64_t k = k0 + s * static_cast<int>(kThreads) * 8;
      DEVICE_UNROLL
      for (int o = 0; o < kOutputs; ++o) {
        if (k < a.k && n0 + o < a.n)
          weights[s][o] = global_load_once(reinterpret_cast<const Vec4*>(a.w + (n0 + o) * a.k + k));
      }
    }
    DEVICE_UNROLL
    for (int s = 0; s < kSteps; ++s) {
      const std::int64_t k = k0 + s * static_cast<int>(kThreads) * 8;
      if (k >= a.k) continue;
      float x[kRows][8];
      DEVICE_UNROLL
      for (int m = 0; m < kRows; ++m) unpack(load8(a.x + m * a.ldx + k), x[m]);
      DEVICE_UNROLL
      for (int o = 0; o < kOutputs; ++o) {
        float w[8];
        unpack(weights[s][o], w);
        DEVICE_UNROLL
        for (int m = 0; m < kRows; ++m) {
          DEVICE_UNROLL
          for (int c = 0; c < 8; ++c) sum[o][m] += w[c] * x[m][c];
        }
      }
    }
  }
  DEVICE_UNROLL
  for (int o = 0; o < kOutputs; ++o) {
    DEVICE_UNROLL
    for (int m = 0; m < kRows; ++m) {
      const float all = warp_sum(sum[o][m]);
      if (lane_index() == 0) {
        shared_store<float>((warp_index() * kOutputs * kRows + static_cast<unsigned>(o * kRows + m)) * 4, all);
      }
    }
  }
  sync_threads();
  const int o = static_cast<int>(thread_index()) / kRows, m = static_cast<int>(thread_index()) % kRows;
  if (o >= kOutputs || n0 + o >= a.n) return;
  float all = 0;
  for (unsigned warp = 0; warp < kThreads / 32; ++warp)
    all += shared_load<float>((warp * kOutputs * kRows + thread_index()) * 4);
  Bf16* y = a.y + m * a.ldy + n0 + o;
  if (a.accumulate) all += from(global_load(y));
  global_store(y, to<Bf16>(all));
}

template <int kRows>
void launch_gemv(const GemmArgs<Bf16>& a, Stream stream) {
  launch(gemv_kernel<kRows>, {.grid = {ceil_div(a.n, kOutputs)}, .threads = kThreads,
                              .shared_bytes = kThreads / 32 * kOutputs * kRows * 4}, stream, a);
}

}  // namespace

void gemm_gemv(const GemmArgs<Bf16>& args, Stream stream) {
  GemmArgs<Bf16> a = args;
  if (!a.ldx) a.ldx = a.k;
  if (!a.ldy) a.ldy = a.n;
  require(a.m >= 0 && a.m <= kMostGemvRows, "gemm_gemv: m: expected at most 8");
  require(a.k % 8 == 0 && a.ldx % 8 == 0, "gemm_gemv: k, ldx: expected multiples of 8");
  switch (a.m) {
    case 0: return;
    case 1: return launch_gemv<1>(a, stream);
    case 2: return launch_gemv<2>(a, stream);
    case 3: return launch_gemv<3>(a, stream);
    case 4: return launch_gemv<4>(a, stream);
    default: break;
  }
  GemmArgs<Bf16> rest = a;                    // 5 to 8 rows: the weights pass twice
  rest.m = a.m - 4;
  rest.x += 4 * a.ldx;
  rest.y += 4 * a.ldy;
  a.m = 4;
  gemm_gemv(a, stream);
  gemm_gemv(rest, stream);
}

}  // namespace orrery::ORRERY_GPU
