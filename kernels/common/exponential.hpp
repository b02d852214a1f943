/// exp for kernels: in float a polynomial without branches that compilers vectorise, the same bits in scalar and vector
/// code; relative error below 2e-7 for x in [-87, 88]; 0 below, infinity above. In double the C library's.
///
///   float p = kernel_exp(score - max);
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/common/simd.hpp"

namespace orrery {

/// exp x = 2^n e^y, y = x - n ln 2 in two parts (Cody and Waite, 1980), e^y by the coefficients of Cephes' expf.
KERNEL_INLINE float kernel_exp(float x) {
  const float c = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float magic = 12582912.0f;                                    // 1.5 * 2^23: adding it rounds to an integer
  const float n = (c * 1.44269504088896341f + magic) - magic;
  const float y = (c - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * y + 1.3981999507e-3f;
  p = p * y + 8.3334519073e-3f;
  p = p * y + 4.1665795894e-2f;
  p = p * y + 1.6666665459e-1f;
  p = p * y + 5.0000001201e-1f;
  p = p * (y * y) + y + 1.0f;
  const float power = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  const float e = p * power;
  return x < -87.0f ? 0.0f : x > 88.0f ? __builtin_inff() : e;
}
KERNEL_INLINE double kernel_exp(double x) { return std::exp(x); }

}  // namespace orrery
