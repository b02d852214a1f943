#include "hwmodels/residual_grid.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>


namespace orrery {
namespace {

std::vector<std::int16_t> numbers_in(const std::vector<Value>& lines) {
  std::vector<std::int16_t> out;
  for (const Value& line : lines) {
    const std::string& text = line.as_string();
    const char* at = text.data();
    const char* end = at + text.size();
    while (at != end) {
      if (*at == ' ') { ++at; continue; }
      int value = 0;
      const auto [next, error] = std::from_chars(at, end, value);
      if (error != std::errc{} || value < -32000 || value > 32000) {
        throw ConfigError(line.where() + ": expected integers separated by spaces");
      }
      out.push_back(static_cast<std::int16_t>(value));
      at = next;
    }
  }
  return out;
}

}  // namespace

ResidualGrid::ResidualGrid(std::vector<Axis> axes, std::vector<std::int16_t> thousandths)
    : axes_(std::move(axes)), values_(std::move(thousandths)) {
  std::size_t expected = 1;
  for (const Axis& axis : axes_) {
    if (axis.count < 1 || !(axis.step > 0))
      throw ConfigError("residual grid: an axis needs a count and a positive step");
    expected *= static_cast<std::size_t>(axis.count);
  }
  if (axes_.size() > Features{}.size() || values_.size() != expected) {
    throw ConfigError("residual grid: expected " + std::to_string(expected) + " values, got " +
                      std::to_string(values_.size()));
  }
}

double ResidualGrid::at(const Features& z) const {
  std::array<std::pair<std::size_t, double>, 32> corners{{{0, 1.0}}};
  std::size_t n = 1;
  if (values_.empty()) return 0;
  for (std::size_t d = 0; d < axes_.size(); ++d) {
    const Axis& axis = axes_[d];
    const double u = std::clamp((z[d] - axis.start) / axis.step, 0.0, static_cast<double>(axis.count - 1));
    const auto low = std::min(static_cast<std::size_t>(u), static_cast<std::size_t>(std::max(axis.count - 2, 0)));
    const double upper = u - static_cast<double>(low);
    const std::size_t before = n;
    for (std::size_t c = 0; c < before; ++c) {
      auto& [index, weight] = corners[c];
      index = index * static_cast<std::size_t>(axis.count) + low;
      if (upper > 0) {
        corners[n++] = {index + 1, weight * upper};
        weight *= 1 - upper;
      }
    }
  }
  double sum = 0;
  for (std::size_t c = 0; c < n; ++c) sum += corners[c].second * values_[corners[c].first];
  return sum * 1e-3;
}

Features ResidualGrid::knot(std::size_t index) const {
  Features z{};
  for (std::size_t d = axes_.size(); d-- > 0;) {
    const auto count = static_cast<std::size_t>(axes_[d].count);
    z[d] = axes_[d].start + axes_[d].step * static_cast<double>(index % count);
    index /= count;
  }
  return z;
}

Value to_value(const ResidualGrid& grid) {
  Value v = Value::object(), axes = Value::array(), lines = Value::array();
  for (const ResidualGrid::Axis& a : grid.axes()) {
    Value axis = Value::object();
    axis["start"] = a.start;
    axis["step"] = a.step;
    axis["count"] = a.count;
    axes.push_back(std::move(axis));
  }
  v["axes_log2"] = std::move(axes);
  std::string line;
  for (const std::int16_t n : grid.thousandths()) {
    if (line.size() > 110) { lines.push_back(line); line.clear(); }
    if (!line.empty()) line += ' ';
    line += std::to_string(n);
  }
  lines.push_back(line);
  v["thousandths"] = std::move(lines);
  return v;
}

ResidualGrid residual_from_json(const Value& v) {
  std::vector<ResidualGrid::Axis> axes;
  for (const Value& axis : v.at("axes_log2").items()) {
    axes.push_back(
        {axis.at("start").as_double(), axis.at("step").as_double(), static_cast<int>(axis.at("count").as_int())});
  }
  return ResidualGrid(std::move(axes), numbers_in(v.at("thousandths").items()));
}

}  // namespace orrery
