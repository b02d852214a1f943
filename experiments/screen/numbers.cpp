#include "experiments/screen.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace orrery {

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return n < 0 ? "-" + digits : digits;
}

std::string significant(double value, int digits) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return "never";
  if (value == 0) return "0";
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  if (magnitude > 9 || magnitude < -5) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*e", digits - 1, value);
    return text.data();
  }
  if (magnitude > 3 && magnitude >= digits) return grouped(std::llround(value));
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", std::max(0, digits - magnitude), value);
  return text.data();
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "-";
  const double p = fraction * 100;
  return (p == 0 || p == 100 ? significant(p, 3)
          : p > 100          ? significant(p, 4)
          : p > 99.9         ? std::string(p >= 99.995 ? "99.99" : significant(p, 4))
                             : significant(p, 3)) +
         " %";
}

std::string seconds_text(double s) {
  if (std::isnan(s)) return "-";
  if (std::isinf(s)) return "never";
  const double a = std::abs(s);
  if (a >= 1 || a == 0) return significant(s, 3) + " s";
  if (a >= 1e-3) return significant(s * 1e3, 3) + " ms";
  return significant(s * 1e6, 3) + " us";
}

}  // namespace orrery
