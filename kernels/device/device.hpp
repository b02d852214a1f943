/// What device code is written in: thin functions over the CUDA instructions that the kernels use. The same kernel
/// source is compiled two ways:
///
///   by nvcc                         inline PTX (cuda.hpp)                              orrery::gpu_cuda
///   by any C++ compiler             the emulator (emulated.hpp), which also checks     orrery::gpu_emulated
///   by a C++ compiler, host only,   declarations of launch functions; no kernels       orrery::gpu_cuda
///     with ORRERY_GPU_CUDA defined
///
/// `orrery::gpu` names whichever it is. A kernel and its launch function live in one .cu file:
///
///   namespace orrery::ORRERY_GPU {
///   DEVICE_KERNEL(128, 2) scale_kernel(float* x, float by, int n) {          // 128 threads, 2 blocks on a processor
///     const int i = static_cast<int>(block_index() * 128 + thread_index());
///     if (i < n) global_store(x + i, by * global_load(x + i));
///   }
///   void scale(float* x, float by, int n, Stream stream) {
///     launch(scale_kernel, {.grid = {ceil_div(n, 128)}, .threads = 128}, stream, x, by, n);
///   }
///   }
///
/// Rules that make the emulator see everything: global memory through global_load / global_store / copy_async /
/// atomics; shared memory through byte offsets into the block's dynamic shared memory (shared_load<T>(offset),
/// ldmatrix, ...), never through pointers; no static __shared__ variables; whole warps take part in warp operations.
/// Blocks have whole warps, 512 threads at most. Offsets are 32-bit bytes. Copies of 16 bytes are `Vec4`. Structs of
/// arguments are passed as `DEVICE_PARAMETER Args args`, so that references to them make no copy.
#pragma once

#include <cstdint>

#if defined(__CUDACC__) || defined(ORRERY_GPU_CUDA)
#define ORRERY_GPU gpu_cuda
#else
#define ORRERY_GPU gpu_emulated
#endif

namespace orrery::ORRERY_GPU {

using Stream = void*;                        ///< cudaStream_t; ignored by the emulator, which runs at once

/// 16 bytes, the widest access of a thread.
struct alignas(16) Vec4 {
  std::uint32_t w[4];
};
struct alignas(8) Vec2 {
  std::uint32_t w[2];
};

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};
struct LaunchShape {
  Grid grid;
  unsigned threads = 128;
  std::uint32_t shared_bytes = 0;            ///< dynamic shared memory, up to 227 KB on sm_90, 163 KB on sm_80
};

constexpr unsigned ceil_div(std::int64_t a, std::int64_t b) { return static_cast<unsigned>((a + b - 1) / b); }

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

}  // namespace orrery::ORRERY_GPU

namespace orrery {
namespace gpu = ORRERY_GPU;
}  // namespace orrery

#if defined(__CUDACC__)
#include "kernels/device/cuda.hpp"
#elif !defined(ORRERY_GPU_CUDA)
#include "kernels/device/emulated.hpp"
#endif
