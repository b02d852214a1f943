#include "experiments/statistics.hpp"

#include <array>
#include <cmath>

namespace orrery {

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double student_t975(int degrees) {
  constexpr std::array<double, 30> table{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060,
                                         2.2622,  2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199,
                                         2.1098,  2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
                                         2.0595,  2.0555, 2.0518, 2.0484, 2.0452, 2.0423};
  if (degrees <= 30) return table[static_cast<std::size_t>(degrees < 1 ? 0 : degrees - 1)];
  constexpr double z = 1.959963984540054;
  const double n = degrees;
  const double g1 = (z * z * z + z) / 4, g2 = (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / 96;
  return z + g1 / n + g2 / (n * n);
}

std::optional<Interval> t_interval(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const auto n = static_cast<double>(values.size());
  const double half = student_t975(static_cast<int>(values.size()) - 1) * std::sqrt(squares / (n - 1) / n);
  if (!std::isfinite(half) || half <= 1e-12 * std::abs(mean)) return std::nullopt;
  return Interval{mean - half, mean + half};
}

}  // namespace orrery
