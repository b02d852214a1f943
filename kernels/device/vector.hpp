/// What the operators' kernels have in common beside device.hpp: eight bf16 in 16 bytes as floats, sums and maxima over
/// a warp or a block, elementary functions.
///
///   float x[8];  unpack(global_load(p), x);          // p: const Vec4*
///   const float all = block_sum(mine, scratch);      // scratch: 16 floats of shared memory, at this offset
///
/// Block operations need all threads of the block, and leave their scratch to be reused after the next sync_threads().
#pragma once

#include <bit>
#include <cmath>

#include "kernels/common/scalar.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

inline constexpr std::uint32_t kReductionBytes = 64;     ///< scratch of a block operation

DEVICE_FN float low_bf16(std::uint32_t pair) { return bits_to_float(pair << 16); }
DEVICE_FN float high_bf16(std::uint32_t pair) { return bits_to_float(pair & 0xffff0000u); }

DEVICE_FN void unpack(const Vec4& v, float (&x)[8]) {
  DEVICE_UNROLL
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = low_bf16(v.w[i]);
    x[2 * i + 1] = high_bf16(v.w[i]);
  }
}
DEVICE_FN Vec4 pack(const float (&x)[8]) {
  Vec4 v;
  DEVICE_UNROLL
  for (int i = 0; i < 4; ++i) v.w[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
  return v;
}

/// Eight elements from p on, which is a multiple of 16 bytes.
DEVICE_FN Vec4 load8(const Bf16* p) { return global_load(reinterpret_cast<const Vec4*>(p)); }
DEVICE_FN void store8(Bf16* p, const Vec4& v) { global_store(reinterpret_cast<Vec4*>(p), v); }

template <class T>
DEVICE_FN T warp_sum(T x) {
  for (unsigned mask = 16; mask > 0; mask /= 2) x += shuffle_xor(x, mask);
  return x;
}
/// The sum over the block, in all threads; always added in the same order. T has 4 bytes.
template <class T>
DEVICE_FN T block_sum(T x, std::uint32_t scratch) {
  static_assert(sizeof(T) == 4);
  const unsigned warps = block_size() / 32, lane = lane_index();
  x = warp_sum(x);
  if (lane == 0) shared_store<T>(scratch + 4 * warp_index(), x);
  sync_threads();
  return warp_sum(lane < warps ? shared_load<T>(scratch + 4 * lane) : T{});
}
/// Sums over the lanes before this one.
template <class T>
DEVICE_FN T warp_sum_before(T x) {
  T all = x;
  for (unsigned by = 1; by < 32; by *= 2) {
    const T other = shuffle_up(all, by);
    if (lane_index() >= by) all += other;
  }
  return all - x;
}

/// Relative error about 1e-6 for the results that matter, exp(x) > 1e-38; 0 and infinity beyond.
DEVICE_FN float fast_exp(float x) { return fast_exp2(x * kLog2E); }

/// Two fp8 e4m3, saturated at 448, the first in the low byte.
DEVICE_FN std::uint32_t pack_fp8(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  std::uint16_t pair;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return to<Fp8>(low).bits | std::uint32_t{to<Fp8>(high).bits} << 8;
#endif
}

#if defined(__CUDACC__)
DEVICE_FN float inverse_root(float x) { return 1 / sqrtf(x); }
DEVICE_FN unsigned count_bits(std::uint32_t x) { return static_cast<unsigned>(__popc(x)); }
/// a * b + c, rounded twice, as the host's code does.
DEVICE_FN double multiply_then_add(double a, double b, double c) { return __dadd_rn(__dmul_rn(a, b), c); }
#else
DEVICE_FN float inverse_root(float x) { return 1 / std::sqrt(x); }
DEVICE_FN unsigned count_bits(std::uint32_t x) { return static_cast<unsigned>(std::popcount(x)); }
DEVICE_FN double multiply_then_add(double a, double b, double c) { return a * b + c; }
#endif

}  // namespace orrery::ORRERY_GPU
