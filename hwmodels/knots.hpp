/// Knots on a logarithmic scale of whole numbers: every integer up to 2^(B+1), then 2^B an octave. The index is two
/// shifts, so a table lookup needs no logarithm.
///
///   Knots<3>::index(100);    // 8 an octave: the knot at 96
///   Knots<3>::value(i) <= x < Knots<3>::value(i + 1)   for i = Knots<3>::index(x)
#pragma once

#include <bit>
#include <cstdint>

namespace orrery {

template <int B>
struct Knots {
  static constexpr std::int64_t kExact = std::int64_t{2} << B;  ///< below it every integer is a knot

  static constexpr std::size_t index(std::int64_t x) {
    if (x < kExact) return static_cast<std::size_t>(x < 0 ? 0 : x);
    const int exponent = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(x))) - 1;
    const auto within = static_cast<std::size_t>(x >> (exponent - B)) & ((std::size_t{1} << B) - 1);
    return static_cast<std::size_t>(kExact) + static_cast<std::size_t>(exponent - B - 1) * (std::size_t{1} << B) + within;
  }

  static constexpr std::int64_t value(std::size_t i) {
    if (i < static_cast<std::size_t>(kExact)) return static_cast<std::int64_t>(i);
    const std::size_t beyond = i - static_cast<std::size_t>(kExact);
    const int exponent = static_cast<int>(beyond >> B) + B + 1;
    const auto within = static_cast<std::int64_t>(beyond & ((std::size_t{1} << B) - 1));
    return ((std::int64_t{1} << B) + within) << (exponent - B);
  }

  /// 1 / (value(i + 1) - value(i)), exact: widths are powers of two.
  static constexpr double inverse_width(std::size_t i) {
    if (i < static_cast<std::size_t>(kExact)) return 1;
    const auto octaves = static_cast<std::uint64_t>((i - static_cast<std::size_t>(kExact)) >> B) + 1;
    return std::bit_cast<double>((1023 - octaves) << 52);
  }
};

}  // namespace orrery
