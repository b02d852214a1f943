#include "traces/workload/parts.hpp"

#include <chrono>

namespace orrery {
namespace {

/// "14:00", "14:00:30" as time of day.
std::optional<Duration> clock_time(std::string_view text) {
  const auto two = [&](std::size_t at, int limit) {
    if (at + 2 > text.size() || text[at] < '0' || text[at] > '9' || text[at + 1] < '0' || text[at + 1] > '9') return -1;
    const int n = (text[at] - '0') * 10 + text[at + 1] - '0';
    return n <= limit ? n : -1;
  };
  const bool seconds = text.size() == 8 && text[5] == ':';
  if (!(text.size() == 5 || seconds) || text[2] != ':') return std::nullopt;
  const int h = two(0, 24), m = two(3, 59), s = seconds ? two(6, 59) : 0;
  if (h < 0 || m < 0 || s < 0) return std::nullopt;
  return Duration{std::chrono::seconds{h * 3600 + m * 60 + s}};
}

}  // namespace

TraceWindow read_window(WorkloadContext& c, const Value& v) {
  const std::string text = v.is_string() ? v.as_string() : "";
  const auto dots = text.find("..");
  const auto wrong = [&] {
    c.errors.add(v.pointer(), "expected a window like \"14:00..15:00\" or \"600s..1200s\", got " + to_json(v, -1));
    return TraceWindow{};
  };
  if (dots == text.npos) return wrong();
  const std::string from = text.substr(0, dots), to = text.substr(dots + 2);
  TraceWindow w;
  const auto a = clock_time(from), b = clock_time(to);
  if (a && b) {
    w = {*a, *b, true, true};
    if (w.to <= w.from) w.to += 24h;   // over midnight
    return w;
  }
  try {
    w = {parse_duration(from), parse_duration(to), true, false};
  } catch (const ConfigError&) {
    return wrong();
  }
  if (w.from < Duration{} || w.to <= w.from) return wrong();
  return w;
}

void read_scale(WorkloadContext& c, const Value& v, TraceRules& rules) {
  ObjectReader in(v, c.errors);
  if (!v.is_object()) return;
  in.require("factor");
  in.number("factor", rules.factor, {1e-6, 1e6});
  int method = 0;
  in.choice("method", method, {{"resample", 0}, {"speedup", 1}, {"thin", 2}});
  if (method == 2 && rules.factor > 1)
    in.error("factor", "thinning keeps a fraction: expected at most 1, got " + number_text(rules.factor));
  rules.method = method == 1 ? ScaleMethod::kSpeedup : ScaleMethod::kResample;
  in.finish();
}

}  // namespace orrery
