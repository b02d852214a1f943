#include "sim/config/units.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace orrery {
namespace {

struct Unit {
  std::string_view name;
  Dimension dimension;
  double factor;
};

constexpr double kKi = 1024, kMi = kKi * kKi, kGi = kMi * kKi, kTi = kGi * kKi;

constexpr std::array kUnits{
    Unit{"ps", Dimension::kSeconds, 1e-12},      Unit{"ns", Dimension::kSeconds, 1e-9},
    Unit{"us", Dimension::kSeconds, 1e-6},       Unit{"ms", Dimension::kSeconds, 1e-3},
    Unit{"s", Dimension::kSeconds, 1},           Unit{"sec", Dimension::kSeconds, 1},
    Unit{"min", Dimension::kSeconds, 60},        Unit{"h", Dimension::kSeconds, 3600},
    Unit{"d", Dimension::kSeconds, 86400},       Unit{"/s", Dimension::kPerSecond, 1},
    Unit{"/min", Dimension::kPerSecond, 1.0 / 60}, Unit{"/h", Dimension::kPerSecond, 1.0 / 3600},
    Unit{"req/s", Dimension::kPerSecond, 1},     Unit{"tok/s", Dimension::kPerSecond, 1},
    Unit{"B", Dimension::kBytes, 1},             Unit{"kB", Dimension::kBytes, 1e3},
    Unit{"KB", Dimension::kBytes, 1e3},          Unit{"MB", Dimension::kBytes, 1e6},
    Unit{"GB", Dimension::kBytes, 1e9},          Unit{"TB", Dimension::kBytes, 1e12},
    Unit{"KiB", Dimension::kBytes, kKi},         Unit{"MiB", Dimension::kBytes, kMi},
    Unit{"GiB", Dimension::kBytes, kGi},         Unit{"TiB", Dimension::kBytes, kTi},
    Unit{"B/s", Dimension::kBytesPerSecond, 1},  Unit{"kB/s", Dimension::kBytesPerSecond, 1e3},
    Unit{"MB/s", Dimension::kBytesPerSecond, 1e6}, Unit{"GB/s", Dimension::kBytesPerSecond, 1e9},
    Unit{"TB/s", Dimension::kBytesPerSecond, 1e12}, Unit{"Mbit/s", Dimension::kBytesPerSecond, 1e6 / 8},
    Unit{"Gbit/s", Dimension::kBytesPerSecond, 1e9 / 8}, Unit{"MiB/s", Dimension::kBytesPerSecond, kMi},
    Unit{"GiB/s", Dimension::kBytesPerSecond, kGi}, Unit{"W", Dimension::kWatts, 1},
    Unit{"mW", Dimension::kWatts, 1e-3},         Unit{"kW", Dimension::kWatts, 1e3},
    Unit{"MW", Dimension::kWatts, 1e6},          Unit{"J", Dimension::kJoules, 1},
    Unit{"kJ", Dimension::kJoules, 1e3},         Unit{"MJ", Dimension::kJoules, 1e6},
    Unit{"Wh", Dimension::kJoules, 3600},        Unit{"kWh", Dimension::kJoules, 3.6e6},
    Unit{"Hz", Dimension::kHertz, 1},            Unit{"kHz", Dimension::kHertz, 1e3},
    Unit{"MHz", Dimension::kHertz, 1e6},         Unit{"GHz", Dimension::kHertz, 1e9},
    Unit{"%", Dimension::kNumber, 0.01},
};

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

[[noreturn]] void refuse(Dimension dimension, std::string_view got) {
  throw ConfigError("expected " + std::string(expected_form(dimension)) + ", got " + std::string(got));
}

/// Splits "12.5 GB/s" into 12.5 and "GB/s"; false where no number leads.
bool split(std::string_view text, double& number, std::string_view& unit) {
  const char* const end = text.data() + text.size();
  const char* const begin = text.data() + (!text.empty() && text.front() == '+' ? 1 : 0);
  const auto [rest, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || !std::isfinite(number)) return false;
  unit = trimmed(text.substr(static_cast<std::size_t>(rest - text.data())));
  return true;
}

}  // namespace

std::string_view expected_form(Dimension dimension) {
  switch (dimension) {
    case Dimension::kSeconds: return "a duration like \"200ms\"";
    case Dimension::kPerSecond: return "a rate like \"12/s\"";
    case Dimension::kBytes: return "a size like \"2MB\"";
    case Dimension::kBytesPerSecond: return "a bandwidth like \"25GB/s\"";
    case Dimension::kWatts: return "a power like \"300kW\"";
    case Dimension::kJoules: return "an energy like \"3.6MJ\"";
    case Dimension::kHertz: return "a frequency like \"1.98GHz\"";
    case Dimension::kNumber: break;
  }
  return "a number";
}

double parse_quantity(const Value& v, Dimension dimension) {
  if (v.is_number()) return v.as_double();
  double number = 0;
  std::string_view name;
  if (!v.is_string() || !split(trimmed(v.as_string()), number, name)) refuse(dimension, brief(v));
  if (name.empty()) return number;
  if (name == "\xc2\xb5s") name = "us";  // micro sign
  for (const Unit& u : kUnits) {
    if (u.name != name) continue;
    if (u.dimension != dimension) break;
    // Rounds once where the unit's reciprocal is whole: 200 / 1000, not 200 * 1e-3.
    const double result = u.factor < 1 ? number / std::round(1 / u.factor) : number * u.factor;
    if (!std::isfinite(result)) break;
    return result;
  }
  refuse(dimension, brief(v));
}

Duration parse_duration(const Value& v) {
  const double seconds = parse_quantity(v, Dimension::kSeconds);
  if (!(std::abs(seconds) < 9.2e6)) {
    throw ConfigError("expected a duration below 106 days, the horizon of a run, got " + brief(v));
  }
  return from_seconds(seconds);
}

void check_unit(const Value& v, Dimension dimension) {
  if (v.is_string() && dimension != Dimension::kNumber && parse_number(v.as_string()))
    throw ConfigError("expected " + std::string(expected_form(dimension)) + ", got " + brief(v) + " without a unit");
}

Dimension dimension_of(std::string_view unit) {
  if (unit == "s" || unit == "seconds") return Dimension::kSeconds;
  if (unit == "/s") return Dimension::kPerSecond;
  if (unit == "bytes" || unit == "B") return Dimension::kBytes;
  if (unit == "bytes/s" || unit == "B/s") return Dimension::kBytesPerSecond;
  if (unit == "W") return Dimension::kWatts;
  if (unit == "J") return Dimension::kJoules;
  if (unit == "Hz") return Dimension::kHertz;
  return Dimension::kNumber;
}

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  std::string_view rest;
  if (!split(trimmed(text), number, rest) || !rest.empty()) return std::nullopt;
  return number;
}

std::string format_number(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace orrery
