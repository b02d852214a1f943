/// exp2, log2 and friends out of +, -, *, / alone, so that every compiler, optimisation level and processor computes
/// the same bits (the C library picks variants by CPU). Relative error below 1e-15 for exp2 and log2 (near 1, log2 is
/// exact to that error too); exp, log, pow add |argument| * 2^-52. Domain errors return what IEEE would: log2(0) =
/// -inf, log2(<0) = NaN; results below 2^-1022 are 0.
///
/// The transcendental functions of <cmath> are forbidden in sim, policies, hwmodels and traces (a test reads for them);
/// std::sqrt, floor and abs are exactly rounded by IEEE 754 and allowed.
///
///   double half_life = fast_exp2(-t / 30.0);
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace orrery {

inline constexpr double kLn2 = 0.693147180559945309417232121458;
inline constexpr double kLog2E = 1.44269504088896340735992468100;

/// log x = 2 atanh((m - 1) / (m + 1)) for x = 2^e m, m in (0.707, 1.415]: an odd series whose 11 terms leave 1e-18.
constexpr double fast_log2(double x) {
  if (!(x > 0)) return x == 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (x == std::numeric_limits<double>::infinity()) return x;
  int shift = 0;
  if (x < std::numeric_limits<double>::min()) { x *= 0x1p54; shift = -54; }  // subnormal
  // Counted from 0.707 instead of 1, the mantissa carries into the exponent by itself: no branch that nobody can guess.
  constexpr std::uint64_t start = 0x3fe6a09e667f3bceull;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x) + (0x3ff0000000000000ull - start);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  const auto m = std::bit_cast<double>((bits & 0xfffffffffffffull) + start);
  const double s = (m - 1) / (m + 1);  // |s| < 0.1716
  const double z = s * s, z2 = z * z, z4 = z2 * z2;
  const double low = (1.0 + 1.0 / 3 * z) + (1.0 / 5 + 1.0 / 7 * z) * z2;       // Estrin's scheme: short chains
  const double mid = (1.0 / 9 + 1.0 / 11 * z) + (1.0 / 13 + 1.0 / 15 * z) * z2;
  const double high = (1.0 / 17 + 1.0 / 19 * z) + 1.0 / 21 * z2;
  const double p = low + (mid + high * z4) * z4;
  return static_cast<double>(exponent + shift) + 2 * kLog2E * s * p;
}

/// 2^x = 2^n e^y with |y| <= 0.3466: thirteen terms of the exponential series leave 4e-18.
constexpr double fast_exp2(double x) {
  if (x != x) return x;
  if (x >= 1024) return std::numeric_limits<double>::infinity();
  if (x < -1022) return 0;
  const auto whole = static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5);
  const double y = (x - static_cast<double>(whole)) * kLn2, y2 = y * y, y4 = y2 * y2;
  const double a = (1.0 / 2 + 1.0 / 6 * y) + (1.0 / 24 + 1.0 / 120 * y) * y2;
  const double b = (1.0 / 720 + 1.0 / 5040 * y) + (1.0 / 40320 + 1.0 / 362880 * y) * y2;
  const double c = (1.0 / 3628800 + 1.0 / 39916800 * y) + (1.0 / 479001600 + 1.0 / 6227020800 * y) * y2;
  const double p = 1 + (y + y2 * (a + (b + c * y4) * y4));
  if (whole == 1024) return p * 0x1p1023 * 2;  // 2^1024 itself is no double, but p < 1 here
  return p * std::bit_cast<double>(static_cast<std::uint64_t>(whole + 1023) << 52);
}

constexpr double fast_log(double x) { return fast_log2(x) * kLn2; }
constexpr double fast_exp(double x) { return fast_exp2(x * kLog2E); }
/// x >= 0; 0^y is 0, 1 or inf by the sign of y.
constexpr double fast_pow(double x, double y) {
  if (x == 0) return y == 0 ? 1 : y > 0 ? 0 : std::numeric_limits<double>::infinity();
  return fast_exp2(y * fast_log2(x));
}

}  // namespace orrery
