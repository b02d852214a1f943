/// What sm_90a adds, for kernels in *_sm90.cu: barriers in shared memory that count arrivals and bytes (mbarrier), bulk
/// copies of boxes of a tensor by the copy engine (TMA), and products of a warpgroup with operands in shared memory
/// (wgmma). As with device.hpp, inline PTX under nvcc and the emulator otherwise.
///
///   TensorMap map = make_tensor_map({.base = k, .size = {128, 8, tokens}, .stride = {256, 2048}, .box = {64, 1, 16}});
///   mbarrier_init(bar, 1);  fence_barrier_init();  sync_threads();   // once
///   if (producer) { mbarrier_expect(bar, bytes);
///                  copy_box(to, map, 0, head, token, bar); }
///   mbarrier_wait(bar, phase);   // parity of the phase: 0, 1, 0
///   wgmma_fence();  wgmma_keys<128>(s, q_descriptor, k_descriptor, false);  wgmma_commit();  wgmma_wait<0>();
///
/// Tiles in shared memory are slabs of rows of 128 bytes (64 numbers of 16 bits) whose chunks of 16 bytes are exchanged
/// by the row's number (the swizzle of 128 bytes); a slab begins at a multiple of 1024. Layouts of operands (CUTLASS,
/// mma_traits_sm90_gmma.hpp): K-major, rows of 64 k: groups of eight rows 1024 bytes apart; MN-major, rows of 64 n, one
/// for each k: groups of eight k 1024 bytes apart, the next 64 n a slab further.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/device/tensor_map.hpp"

#if defined(__CUDACC__)
#include "kernels/device/hopper_cuda.hpp"
#elif !defined(ORRERY_GPU_CUDA)
#include "kernels/device/hopper_emulated.hpp"
#endif

#if defined(__CUDACC__) || !defined(ORRERY_GPU_CUDA)

namespace orrery::ORRERY_GPU {

inline constexpr std::uint32_t kSlabRow = 128;   ///< bytes of a row of a slab

/// Byte offset of chunk `chunk` (of 8) of row `row` in a slab.
DEVICE_FN std::uint32_t slab_offset(std::uint32_t row, std::uint32_t chunk) {
  return row * kSlabRow + ((chunk ^ (row & 7)) << 4);
}

/// Of a matrix operand in shared memory with the swizzle of 128 bytes. `leading`: bytes to the next 64 n of an MN-major
/// operand; without meaning for a K-major one.
DEVICE_FN std::uint64_t matrix_descriptor(std::uint32_t offset, std::uint32_t leading = 16) {
  const std::uint64_t address = (shared_address(offset) & 0x3ffffu) >> 4;
  return address | static_cast<std::uint64_t>(leading >> 4) << 16 | std::uint64_t{1024 >> 4} << 32 | 1ull << 62;
}
/// The descriptor `bytes` further in shared memory.
DEVICE_FN std::uint64_t advanced(std::uint64_t descriptor, std::uint32_t bytes) { return descriptor + (bytes >> 4); }

}  // namespace orrery::ORRERY_GPU

#endif
