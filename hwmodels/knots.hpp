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

  /// Where x lies: the knot at or before it, how far beyond it, and 2^shift, the distance to the next knot.
  struct Spot {
    std::size_t index;
    std::int64_t past;
    unsigned shift;
  };
  /// x >= 0.
  static constexpr Spot spot(std::int64_t x) {
    const auto u = static_cast<std::uint64_t>(x);
    const unsigned shift = 63u - B - static_cast<unsigned>(std::countl_zero(u | (kExact - 1)));
    return {(std::size_t{shift} << B) + (u >> shift), static_cast<std::int64_t>(u & ((std::uint64_t{1} << shift) - 1)),
            shift};
  }
  /// The same with at most the knot `last`, and the distance from it in steps to the next one; exact.
  struct Along {
    std::size_t index;
    double steps;
  };
  static constexpr Along along(std::int64_t x, std::size_t last) {
    const Spot s = spot(x);
    if (s.index <= last)
      return {s.index, static_cast<double>(s.past) * std::bit_cast<double>(std::uint64_t{1023 - s.shift} << 52)};
    return {last, static_cast<double>(x - value(last)) * inverse_width(last)};
  }
  static constexpr std::size_t index(std::int64_t x) { return spot(x < 0 ? 0 : x).index; }

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
