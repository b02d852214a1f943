#include "calibrate/fit/links.hpp"

#include <cmath>

#include "calibrate/fit/levenberg.hpp"

namespace orrery {

LinkFit fit_link(const std::vector<LinkPoint>& points) {
  const auto seconds = [](std::span<const double> theta, double bytes) {
    return AlphaBeta{theta[0], theta[1], theta[2]}.seconds(bytes);
  };
  const auto theta = fit_positive({1e-5, 1e11, 1.5}, points.size(), [&](std::span<const double> t, std::size_t i) {
    return seconds(t, points[i].bytes) / points[i].seconds;
  });
  LinkFit fit{{theta[0], theta[1], theta[2]}, 0};
  for (const LinkPoint& p : points) {
    fit.mape += 100 * std::abs(fit.law.seconds(p.bytes) / p.seconds - 1) / static_cast<double>(points.size());
  }
  return fit;
}

std::vector<LinkPoint> link_points(const CsvTable& table, const std::string& operation, const std::string& kernel,
                                   int gpus) {
  const std::size_t op = table.column("op_name"), source = table.column("kernel_source"),
                    count = table.column("num_gpus"), elements = table.column("message_elements"),
                    latency = table.column("latency_ms");
  std::vector<LinkPoint> points;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    if (table.text(row, op) != operation || table.text(row, source).find(kernel) == std::string::npos) continue;
    if (static_cast<int>(table.number(row, count)) != gpus) continue;
    points.push_back({2 * table.number(row, elements), 1e-3 * table.number(row, latency)});
  }
  return points;
}

}  // namespace orrery
