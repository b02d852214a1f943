/// Exact quantities: simulated time and counts that cannot be mixed up.
///
/// Time is int64 picoseconds since the start of the run (horizon 106 days; checked at load), so sums have no rounding
/// and equal instants are equal. A `Count<Tag>` is an integer with a unit; counts of different units do not add.
/// Sums over requests or over time that may pass 2^63 use `Wide`.
///
///   Time t = Time{} + 40ms;
///   Tokens left = 512_tok - 3_tok;     // Tokens - Bytes does not compile
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <type_traits>

namespace orrery {

using namespace std::chrono_literals;

__extension__ typedef __int128 Wide;  ///< exact sums over requests or time

/// sum += x for x >= 0, without the sign that an int64 would bring to the upper half.
constexpr void add_to(Wide& sum, std::int64_t x) { sum += static_cast<Wide>(static_cast<std::uint64_t>(x)); }

using Duration = std::chrono::duration<std::int64_t, std::pico>;
struct SimClock;
using Time = std::chrono::time_point<SimClock, Duration>;  ///< since the start of the run

inline constexpr Time kNever{Duration::max()};

constexpr std::int64_t to_ps(Duration d) { return d.count(); }
constexpr std::int64_t to_ps(Time t) { return t.time_since_epoch().count(); }
constexpr double to_seconds(Duration d) { return static_cast<double>(d.count()) * 1e-12; }
constexpr double to_seconds(Time t) { return to_seconds(t.time_since_epoch()); }
/// Nearest picosecond; the caller keeps |s| below 9.2e6.
constexpr Duration from_seconds(double s) {
  return Duration{static_cast<std::int64_t>(s * 1e12 + (s < 0 ? -0.5 : 0.5))};
}

/// An integer amount of one thing. Narrow counts convert to wide ones of the same tag, never the other way.
template <class Tag, class Rep = std::int64_t>
class Count {
 public:
  using rep = Rep;
  constexpr Count() = default;
  constexpr explicit Count(Rep value) : value_(value) {}
  template <class Narrow>
    requires(sizeof(Narrow) < sizeof(Rep))
  constexpr Count(Count<Tag, Narrow> other) : value_(other.value()) {}  // NOLINT: widening is safe

  constexpr Rep value() const { return value_; }
  constexpr Count& operator+=(Count o) { value_ = static_cast<Rep>(value_ + o.value_); return *this; }
  constexpr Count& operator-=(Count o) { value_ = static_cast<Rep>(value_ - o.value_); return *this; }
  constexpr Count& operator++() { ++value_; return *this; }

  friend constexpr Count operator+(Count a, Count b) { return a += b; }
  friend constexpr Count operator-(Count a, Count b) { return a -= b; }
  friend constexpr Count operator-(Count a) { return Count{static_cast<Rep>(-a.value_)}; }
  friend constexpr Count operator*(Count a, Rep n) { return Count{static_cast<Rep>(a.value_ * n)}; }
  friend constexpr Count operator*(Rep n, Count a) { return a * n; }
  friend constexpr Count operator/(Count a, Rep n) { return Count{static_cast<Rep>(a.value_ / n)}; }
  friend constexpr Rep operator/(Count a, Count b) { return static_cast<Rep>(a.value_ / b.value_); }
  friend constexpr Count operator%(Count a, Count b) { return Count{static_cast<Rep>(a.value_ % b.value_)}; }
  friend constexpr auto operator<=>(Count, Count) = default;

  static constexpr Count max() { return Count{std::numeric_limits<Rep>::max()}; }

 private:
  Rep value_ = 0;
};

/// Explicit narrowing, for storage in compact slots; the caller knows that the value fits.
template <class To, class Tag, class Rep>
constexpr To narrow(Count<Tag, Rep> c) { return To{static_cast<typename To::rep>(c.value())}; }

using Tokens = Count<struct TokenTag>;
using Tokens32 = Count<struct TokenTag, std::int32_t>;  ///< compact storage of one request's tokens
using Blocks = Count<struct BlockTag>;                  ///< KV blocks
using Bytes = Count<struct ByteTag>;
using Flops = Count<struct FlopTag>;
using Energy = Count<struct NanojouleTag>;              ///< nanojoules of one step; totals are Wide

constexpr Tokens operator""_tok(unsigned long long n) { return Tokens{static_cast<std::int64_t>(n)}; }
constexpr Blocks operator""_blk(unsigned long long n) { return Blocks{static_cast<std::int64_t>(n)}; }
constexpr Bytes operator""_B(unsigned long long n) { return Bytes{static_cast<std::int64_t>(n)}; }

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace orrery
