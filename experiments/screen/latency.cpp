#include "experiments/screen/sections.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

/// Milliseconds below 10 s, for a column.
std::string cell(double s) {
  if (std::isnan(s)) return "-";
  if (std::isinf(s)) return "never";
  return s < 9.9995 ? significant(s * 1e3, 3) : significant(s, 3) + " s";
}

struct Row {
  std::string label, target, verdict;
};

/// Targets and verdict of a metric, with the smallest share of requests within one of its limits.
Row slo_row(const Value& s, std::string_view metric) {
  Row row;
  double within = 1;
  const Value* limits = find_path(s, "slo.limits");
  if (limits == nullptr) return row;
  for (const Value& l : limits->items()) {
    const std::string& key = l.at("key").as_string();
    if (key.substr(0, key.rfind("_p")) != metric) continue;
    const bool met = l.at("met").as_bool();
    row.target += (row.target.empty() ? "" : ", ") + key.substr(key.rfind("_p") + 1) + " " +
                  seconds_text(l.at("limit_s").as_double());
    row.verdict = met && row.verdict != "MISSED" ? "MET" : "MISSED";
    within = std::min(within, l.at("attainment").as_double());
  }
  if (!row.verdict.empty()) row.verdict += " (" + percent(within) + ")";
  return row;
}

}  // namespace

std::string latency_table(const Value& s) {
  std::string out = " " + padded("ms", 11) + padded("target", 15) + padded("mean", 9) + padded("p50", 9) +
                    padded("p90", 9) + padded("p99", 9) +
                    (find_path(s, "intervals.values") ? padded("max", 10) + "p99 [95 % CI]\n" : "max\n");
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> metrics{
      {{"ttft", "TTFT"}, {"tpot", "TPOT"}, {"itl", "ITL"}, {"e2e", "E2E"}, {"queue", "queue"}}};
  for (const auto& [key, label] : metrics) {
    const Row row = slo_row(s, key);
    const std::string base = std::string(key) + "_s";
    out += " " + padded(std::string(label), 11) + padded(row.target, 15);
    for (const auto* q : {"mean", "p50", "p90", "p99"}) out += padded(cell(number_at(s, base + "." + q)), 9);
    std::string rest = padded(cell(number_at(s, base + ".max")), 10);
    const std::string interval = bracket(s, base + ".p99", 1e3);
    if (!interval.empty()) rest += padded(interval.substr(1), 20);
    out += rest + row.verdict;
    while (out.back() == ' ') out.pop_back();
    out += "\n";
  }
  return out;
}

}  // namespace orrery::screen

namespace orrery {

std::string missed_slo(const Value& summary) {
  std::string out;
  const Value* limits = find_path(summary, "slo.limits");
  if (limits == nullptr) return out;
  for (const Value& l : limits->items()) {
    if (l.at("met").as_bool()) continue;
    const Value* of_class = l.find("class");
    const Value& value = l.at("value_s");
    out += (out.empty() ? "SLO missed: " : "; ") + l.at("key").as_string() +
           (of_class ? " of " + of_class->as_string() : "") + " " +
           (value.is_number() ? seconds_text(value.as_double()) : "never") + " > " +
           seconds_text(l.at("limit_s").as_double());
  }
  return out;
}

}  // namespace orrery
