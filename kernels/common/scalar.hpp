/// Storage formats of tensors and the arithmetic each is computed in: float and bf16 in float, double in double (the
/// reference). Conversions round to nearest, ties to even.
///
///   Bf16 b = to<Bf16>(1.5f);   float f = from(b);   Half h = half_at_most(0.3f);     // h <= 0.3
///
/// fp8 is e4m3 without infinities (OCP 8-bit floating point, 2023): largest 448, smallest 2^-9, relative step 2^-3.
/// All is constexpr, so that device code can call it too.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace orrery {

struct Bf16 {
  std::uint16_t bits = 0;
};
struct Half {
  std::uint16_t bits = 0;
};
struct Fp8 {
  std::uint8_t bits = 0;
};

/// What sums of elements of T are held in.
template <class T>
using Accum = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline constexpr float kFp8Max = 448;

constexpr float magnitude(float x) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu); }

constexpr float from(float x) { return x; }
constexpr double from(double x) { return x; }
constexpr float from(Bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }
constexpr float from(Half x) {
  const std::uint32_t sign = (x.bits & 0x8000u) << 16, exponent = (x.bits >> 10) & 31u, mantissa = x.bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) {
    const float f = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}
constexpr float from(Fp8 x) {
  const std::uint32_t sign = (x.bits & 0x80u) << 24, exponent = (x.bits >> 3) & 15u, mantissa = x.bits & 7u;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) {
    const float f = static_cast<float>(mantissa) * 0x1p-9f;
    return sign ? -f : f;
  }
  return std::bit_cast<float>(sign | (exponent + 120) << 23 | mantissa << 20);
}

template <class T, class A>
constexpr T to(A x) {
  static_assert(std::is_floating_point_v<T>);
  return static_cast<T>(x);
}
template <>
constexpr Bf16 to<Bf16, float>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
/// Beyond 448 it is 448, as attention kernels saturate.
template <>
constexpr Fp8 to<Fp8, float>(float x) {
  const std::uint8_t sign = std::bit_cast<std::uint32_t>(x) >> 31 ? 0x80 : 0;
  const float a = magnitude(x);
  if (x != x) return {0x7f};
  if (a >= kFp8Max) return {static_cast<std::uint8_t>(sign | 0x7e)};
  if (a < 0x1p-6f) {                                    // multiples of 2^-9; adding 2^14 rounds to them
    const float r = (a + 0x1p14f) - 0x1p14f;
    return {static_cast<std::uint8_t>(sign | static_cast<std::uint8_t>(r * 0x1p9f))};
  }
  auto bits = std::bit_cast<std::uint32_t>(a);
  bits += 0x7ffff + ((bits >> 20) & 1);                 // to three bits of mantissa
  return {static_cast<std::uint8_t>(sign | ((bits >> 20) - (120u << 3)))};
}

/// The largest half <= x and the smallest >= x, for quantisers whose range must not shrink by rounding. |x| < 65504.
constexpr Half half_toward_zero(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const float a = magnitude(x);
  if (a < 0x1p-14f) return {static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(a * 0x1p24f))};
  return {static_cast<std::uint16_t>(sign | (((bits & 0x7fffffffu) >> 13) - (112u << 10)))};
}
constexpr Half half_away_from_zero(float x) {
  const Half h = half_toward_zero(x);
  return from(h) == x ? h : Half{static_cast<std::uint16_t>(h.bits + 1)};
}
constexpr Half half_at_most(float x) { return x < 0 ? half_away_from_zero(x) : half_toward_zero(x); }
constexpr Half half_at_least(float x) { return x < 0 ? half_toward_zero(x) : half_away_from_zero(x); }

}  // namespace orrery
