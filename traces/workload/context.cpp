#include "traces/workload/parts.hpp"

#include <cmath>

#include "sim/config/units.hpp"

namespace orrery {

std::string number_text(double x) {
  const bool whole = std::abs(x) < 1e15 && x == std::floor(x);
  return whole ? std::to_string(static_cast<std::int64_t>(x)) : format_number(x);
}

std::optional<std::string> WorkloadContext::file(ObjectReader& in, std::string_view key, std::string_view name) {
  const auto found = path.find(name);
  if (!found) in.error(key, "no file \"" + std::string(name) + "\" in " + path.describe());
  return found;
}

std::optional<Distribution> WorkloadContext::distribution(ObjectReader& in, std::string_view key, Dimension dimension) {
  const Value* v = in.take(key);
  if (v == nullptr) return std::nullopt;
  const Distribution::Context how{
      [dimension](std::string_view text) { return parse_quantity(text, dimension); },
      [this](std::string_view name) {
        if (auto found = path.find(name)) return *found;
        throw DistributionError("no file \"" + std::string(name) + "\" in " + path.describe());
      }};
  try {
    if (v->is_number()) return Distribution::parse(number_text(v->as_double()), how);
    if (v->is_string()) return Distribution::parse(v->as_string(), how);
    in.error(key, "expected a number or a distribution like \"lognormal:1155,1.1\"");
  } catch (const DistributionError& e) {
    in.error(key, e.what());
  } catch (const ConfigError& e) {
    in.error(key, e.what());
  }
  return std::nullopt;
}

std::optional<Distribution> WorkloadContext::counts(ObjectReader& in, std::string_view key, double most,
                                                    std::string_view unit) {
  auto d = distribution(in, key, Dimension::kNumber);
  if (!d) return d;
  const bool fixed = d->kind() == Distribution::Kind::kConstant || d->kind() == Distribution::Kind::kUniform;
  const double low = fixed ? d->min() : d->mean();
  const double high = fixed || d->kind() == Distribution::Kind::kEmpirical ? d->max() : d->mean();
  if (low < 1 || high > most) {
    in.error(key, "expected 1 to " + number_text(most) + " " + std::string(unit) + ", got " +
                      number_text(low < 1 ? low : high));
    return std::nullopt;
  }
  return d;
}

std::optional<Distribution> WorkloadContext::waits(ObjectReader& in, std::string_view key) {
  auto d = distribution(in, key, Dimension::kSeconds);
  if (d && (d->mean() < 0 || d->mean() > static_cast<double>(kMaxTraceSeconds))) {
    in.error(key, "expected 0 to 9000000 s, got " + number_text(d->mean()) + " s");
    return std::nullopt;
  }
  return d;
}

}  // namespace orrery
