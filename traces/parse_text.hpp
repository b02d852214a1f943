/// Numbers out of text without copies, locale or rounding: what the trace readers are made of. Every function moves `p`
/// to the first character it did not take and relies on a terminator (a newline) somewhere behind it.
///
///   const char* p = "0.618518,304\n";
///   std::int64_t ps;
///   parse_decimal(p, 12, ps);          // 618518000000 picoseconds; *p is ','
#pragma once

#include <cstdint>
#include <limits>

namespace orrery {

enum class Parsed { kOk, kEmpty, kNotNumber, kNotInteger, kNegative, kHuge };

constexpr bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

/// A whole number >= 0, at most 18 digits; "12.000" is 12, "12.5" is not whole.
inline Parsed parse_integer(const char*& p, std::int64_t& out) {
  const bool negative = *p == '-';
  if (negative) ++p;
  if (!is_digit(*p)) return Parsed::kNotNumber;
  std::int64_t value = 0;
  const char* start = p;
  for (; is_digit(*p); ++p) {
    if (p - start >= 18) return Parsed::kHuge;
    value = value * 10 + (*p - '0');
  }
  if (*p == '.') {
    for (++p; is_digit(*p); ++p) if (*p != '0') return Parsed::kNotInteger;
  }
  if (negative && value != 0) return Parsed::kNegative;
  out = value;
  return Parsed::kOk;
}

/// A decimal number >= 0 in units of 10^-`places`, nearest (half up); an exponent ("1e-05") is understood.
inline Parsed parse_decimal(const char*& p, int places, std::int64_t& out) {
  static constexpr std::int64_t kPower[13] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
                                              10000000000, 100000000000, 1000000000000};
  if (is_digit(*p)) {  // the usual case: few digits, no exponent, exact
    std::int64_t digits = 0;
    const char* q = p;
    for (; is_digit(*q) && q - p < 18; ++q) digits = digits * 10 + (*q - '0');
    const auto before = static_cast<int>(q - p);
    int after = 0;
    if (*q == '.') for (++q; is_digit(*q) && before + after < 18; ++q, ++after) digits = digits * 10 + (*q - '0');
    if (!is_digit(*q) && *q != '.' && *q != 'e' && *q != 'E' && after <= places && places <= 12 &&
        before + places <= 18) {
      p = q;
      out = digits * kPower[places - after];
      return Parsed::kOk;
    }
  }
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;
  if (!is_digit(*p) && !(*p == '.' && is_digit(p[1]))) return Parsed::kNotNumber;
  std::uint64_t value = 0;     // the first 19 significant digits
  int shift = places;          // value * 10^shift is the result
  int kept = 0;
  bool nonzero = false, half = false, cut = false;   // the first digit that was cut off, if any, decides rounding
  const auto take = [&](char c, bool fraction) {
    if (kept < 19) {
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
      kept += value != 0;
      shift -= fraction;
    } else {
      if (!cut) half = c >= '5';
      cut = true;
      shift += !fraction;
    }
    nonzero = nonzero || c != '0';
  };
  for (; is_digit(*p); ++p) take(*p, false);
  if (*p == '.') for (++p; is_digit(*p); ++p) take(*p, true);
  if (*p == 'e' || *p == 'E') {
    const char* q = p + 1;
    const bool down = *q == '-';
    if (down || *q == '+') ++q;
    if (!is_digit(*q)) return Parsed::kNotNumber;
    int exponent = 0;
    for (; is_digit(*q); ++q) if (exponent < 10000) exponent = exponent * 10 + (*q - '0');
    shift += down ? -exponent : exponent;
    p = q;
  }
  if (negative && nonzero) return Parsed::kNegative;
  for (; shift < 0; ++shift) {
    half = value % 10 >= 5;
    cut = true;
    value /= 10;
    if (value == 0 && !half) break;
  }
  if (shift < 0) half = false;
  for (; shift > 0 && value != 0; --shift) {
    if (value > std::numeric_limits<std::uint64_t>::max() / 10) return Parsed::kHuge;
    value *= 10;
    half = false;
  }
  value += cut && half;
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return Parsed::kHuge;
  out = static_cast<std::int64_t>(value);
  return Parsed::kOk;
}

}  // namespace orrery
