/// exp2, log2 and friends out of +, -, *, / alone, so that every compiler, optimisation level and processor computes
/// the same bits (the C library picks variants by CPU). Relative error below 1e-15 for exp2/log2, 1e-14 for pow;
/// about 5 ns each. Domain errors return what IEEE would: log2(0) = -inf, log2(<0) = NaN.
///
/// The transcendental functions of <cmath> are forbidden in sim, policies, hwmodels and traces (a test reads for them);
/// std::sqrt, floor and abs are exactly rounded by IEEE 754 and allowed.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace orrery {

inline constexpr double kLn2 = 0.693147180559945309417232121458;
inline constexpr double kLog2E = 1.44269504088896340735992468100;

constexpr double fast_log2(double x) {
  if (!(x > 0)) return x == 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (x == std::numeric_limits<double>::infinity()) return x;
  int shift = 0;
  if (x < std::numeric_limits<double>::min()) { x *= 0x1p54; shift = -54; }  // subnormal
  auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  auto m = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);  // in [1, 2)
  if (m > 1.4142135623730951) { m *= 0.5; ++exponent; }
  const double s = (m - 1) / (m + 1);  // log m = 2 atanh s, |s| < 0.1716
  const double z = s * s;
  double p = 1.0 / 21;
  for (int k = 19; k >= 1; k -= 2) p = p * z + 1.0 / k;
  return static_cast<double>(exponent + shift) + 2 * kLog2E * s * p;
}

constexpr double fast_exp2(double x) {
  if (x != x) return x;
  if (x >= 1024) return std::numeric_limits<double>::infinity();
  if (x < -1022) return 0;  // no subnormal results
  const auto whole = static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5);
  const double y = (x - static_cast<double>(whole)) * kLn2;  // |y| <= 0.3466
  double p = 1;
  for (int k = 14; k >= 1; --k) p = 1 + p * y / k;
  return p * std::bit_cast<double>(static_cast<std::uint64_t>(whole + 1023 > 0 ? whole + 1023 : 1) << 52) *
         (whole + 1023 > 0 ? 1.0 : 0.5);
}

constexpr double fast_log(double x) { return fast_log2(x) * kLn2; }
constexpr double fast_exp(double x) { return fast_exp2(x * kLog2E); }
constexpr double fast_pow(double x, double y) { return x == 0 ? (y == 0 ? 1 : 0) : fast_exp2(y * fast_log2(x)); }

}  // namespace orrery
