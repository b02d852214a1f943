/// The device functions of device.hpp as CUDA: inline PTX (ISA 8.0 and later, sm_80 and later) and intrinsics.
/// Included by device.hpp under nvcc only; what each function means is said there and in emulated.hpp.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "kernels/device/cuda_error.hpp"

#define DEVICE_FN __device__ __forceinline__
#define DEVICE_KERNEL(threads, blocks) __global__ void __launch_bounds__(threads, blocks)
#define DEVICE_PARAMETER const __grid_constant__
#define DEVICE_UNROLL _Pragma("unroll")
#define DEVICE_PRAGMA(text) _Pragma(#text)
#define DEVICE_UNROLL_BY(n) DEVICE_PRAGMA(unroll n)
#define DEVICE_NO_UNROLL _Pragma("unroll 1")

namespace orrery::gpu_cuda {

DEVICE_FN unsigned thread_index() { return threadIdx.x; }
DEVICE_FN unsigned lane_index() { return threadIdx.x % 32; }
DEVICE_FN unsigned warp_index() { return threadIdx.x / 32; }
DEVICE_FN unsigned block_index() { return blockIdx.x; }
DEVICE_FN unsigned block_index_y() { return blockIdx.y; }
DEVICE_FN unsigned block_index_z() { return blockIdx.z; }
DEVICE_FN unsigned grid_size() { return gridDim.x; }
DEVICE_FN unsigned block_size() { return blockDim.x; }

// --- barriers
DEVICE_FN void sync_threads() { __syncthreads(); }
DEVICE_FN void sync_warp() { __syncwarp(); }
DEVICE_FN void barrier_sync(unsigned id, unsigned threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
DEVICE_FN void barrier_arrive(unsigned id, unsigned threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// --- warps
template <class T>
DEVICE_FN T shuffle(T value, unsigned lane) { return __shfl_sync(0xffffffffu, value, static_cast<int>(lane)); }
template <class T>
DEVICE_FN T shuffle_xor(T value, unsigned mask) {
  return __shfl_xor_sync(0xffffffffu, value, static_cast<int>(mask));
}
template <class T>
DEVICE_FN T shuffle_up(T value, unsigned by) { return __shfl_up_sync(0xffffffffu, value, by); }
DEVICE_FN std::uint32_t ballot(bool predicate) { return __ballot_sync(0xffffffffu, predicate); }
DEVICE_FN bool any(bool predicate) { return __any_sync(0xffffffffu, predicate); }
DEVICE_FN bool all(bool predicate) { return __all_sync(0xffffffffu, predicate); }

// --- shared memory
DEVICE_FN unsigned char* shared_base() {
  extern __shared__ __align__(1024) unsigned char dynamic_shared[];
  return dynamic_shared;
}
DEVICE_FN std::uint32_t shared_address(std::uint32_t offset) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared_base())) + offset;
}
template <class T>
DEVICE_FN T shared_load(std::uint32_t offset) { return *reinterpret_cast<const T*>(shared_base() + offset); }
template <>
DEVICE_FN Vec4 shared_load<Vec4>(std::uint32_t offset) {
  const uint4 v = *reinterpret_cast<const uint4*>(shared_base() + offset);
  return {{v.x, v.y, v.z, v.w}};
}
template <>
DEVICE_FN Vec2 shared_load<Vec2>(std::uint32_t offset) {
  const uint2 v = *reinterpret_cast<const uint2*>(shared_base() + offset);
  return {{v.x, v.y}};
}
template <class T>
DEVICE_FN void shared_store(std::uint32_t offset, std::type_identity_t<T> value) {
  *reinterpret_cast<T*>(shared_base() + offset) = value;
}
template <>
DEVICE_FN void shared_store<Vec4>(std::uint32_t offset, Vec4 v) {
  *reinterpret_cast<uint4*>(shared_base() + offset) = make_uint4(v.w[0], v.w[1], v.w[2], v.w[3]);
}
template <class T>
DEVICE_FN T shared_atomic_add(std::uint32_t offset, std::type_identity_t<T> value) {
  return atomicAdd(reinterpret_cast<T*>(shared_base() + offset), value);
}
DEVICE_FN void ldmatrix(std::uint32_t (&r)[4], std::uint32_t offset) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(offset)) : "memory");
}
DEVICE_FN void ldmatrix_transposed(std::uint32_t (&r)[4], std::uint32_t offset) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(offset)) : "memory");
}

// --- global memory
template <class T>
DEVICE_FN T global_load(const T* p) { return *p; }
template <>
DEVICE_FN Vec4 global_load<Vec4>(const Vec4* p) {
  const uint4 v = *reinterpret_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
/// Read once, by nobody else, and not written by this launch: past the L1 cache.
DEVICE_FN Vec4 global_load_once(const Vec4* p) {
  Vec4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3]) : "l"(p));
  return v;
}
template <class T>
DEVICE_FN void global_store(T* p, std::type_identity_t<T> value) { *p = value; }
template <>
DEVICE_FN void global_store<Vec4>(Vec4* p, Vec4 v) {
  *reinterpret_cast<uint4*>(p) = make_uint4(v.w[0], v.w[1], v.w[2], v.w[3]);
}
template <>
DEVICE_FN void global_store<Vec2>(Vec2* p, Vec2 v) { *reinterpret_cast<uint2*>(p) = make_uint2(v.w[0], v.w[1]); }
template <class T>
DEVICE_FN T atomic_add(T* p, std::type_identity_t<T> value) { return atomicAdd(p, value); }
DEVICE_FN void memory_fence() { __threadfence(); }

// --- asynchronous copies to shared memory (sm_80)
DEVICE_FN void copy_async16(std::uint32_t offset, const void* from, std::uint32_t valid_bytes = 16) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(offset)), "l"(from),
               "r"(valid_bytes) : "memory");
}
DEVICE_FN void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroupsLeft>
DEVICE_FN void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory"); }

// --- tensor cores (sm_80)
DEVICE_FN void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
DEVICE_FN void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// --- arithmetic
DEVICE_FN float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE_FN std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
DEVICE_FN std::uint32_t pack_f16(float low, float high) {
  std::uint32_t r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
DEVICE_FN float bits_to_float(std::uint32_t bits) { return __uint_as_float(bits); }
DEVICE_FN std::uint32_t float_to_bits(float x) { return __float_as_uint(x); }
DEVICE_FN float f16_to_float(std::uint32_t bits) {
  float x;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low; }" : "=f"(x) : "r"(bits));
  return x;
}
DEVICE_FN std::uint32_t fma_f16x2(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t r;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
DEVICE_FN std::uint32_t sub_f16x2(std::uint32_t a, std::uint32_t b) {
  std::uint32_t r;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}
/// Bytes of (b, a), a the low four, picked by the nibbles of `selector`, 0 to 7 each.
DEVICE_FN std::uint32_t byte_permute(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  return __byte_perm(a, b, selector);
}
DEVICE_FN int popcount(std::uint32_t bits) { return __popc(bits); }
/// a b + c, rounded once.
DEVICE_FN float fused(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE_FN float max_of(float a, float b) { return fmaxf(a, b); }
DEVICE_FN float fast_reciprocal(float x) { return __frcp_rn(x); }
DEVICE_FN float fast_log2(float x) { return __log2f(x); }
DEVICE_FN float negative_infinity() { return __int_as_float(0xff800000); }

// --- host: a launch
/// Throws CudaError where CUDA refuses.
template <class... P, class... A>
void launch(void (*kernel)(P...), const LaunchShape& shape, Stream stream, const A&... args) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  if (shape.shared_bytes > 48 * 1024) {
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shape.shared_bytes)), "more shared memory for a kernel");
  }
  kernel<<<dim3(shape.grid.x, shape.grid.y, shape.grid.z), shape.threads, shape.shared_bytes,
           static_cast<cudaStream_t>(stream)>>>(args...);
  check_cuda(cudaGetLastError(), "launch of a kernel");
}

}  // namespace orrery::gpu_cuda
