/// Small clusters for tests: a scenario (tests/twin/scenario.hpp) says engine, cost and requests, a ClusterParts the
/// rest.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/twin/engine_run.hpp"
#include "tests/twin/scenario.hpp"

namespace orrery {

class Rows final : public RowSink {
 public:
  void row(const Row& r) override { rows[r.number] = r; }
  std::map<std::uint64_t, Row> rows;
};

/// What happened, as lines of text: to instances and journeys, and what stations decided.
class Actions final : public ActionSink, public DecisionSink {
 public:
  void decision(Time now, const DecisionRecord& d) override {
    lines.push_back(duration_text(now.time_since_epoch()) + " station " + std::to_string(d.station) + " lane " +
                    std::to_string(d.lane) + " clock " + std::to_string(d.clock) + " decides " +
                    std::to_string(static_cast<int>(d.kind)) + " #" + std::to_string(d.number) + " tokens " +
                    std::to_string(d.tokens));
  }
  void action(const Action& a) override {
    lines.push_back(duration_text(a.at.time_since_epoch()) + " " + std::string(a.who) + ": " + std::string(a.what) +
                    " at " + std::to_string(a.station.index) + " #" +
                    std::to_string(static_cast<std::int64_t>(a.request)) + " " + std::to_string(a.value) +
                    (a.estimate ? " for " + duration_text(*a.estimate) : ""));
  }
  std::vector<std::string> lines;
};

/// A price and a carbon intensity that change every few milliseconds for as long as small scenarios last.
struct ChangingPrices {
  explicit ChangingPrices(std::size_t stations) {
    std::vector<StepSignal::Step> prices, intensities;
    for (std::int64_t i = 0; i < 60; ++i) {
      prices.push_back({Time{Duration{i * 7'000'000'001}}, 1 + i * i % 97});
      intensities.push_back({Time{Duration{i * 11'000'000'003}}, 1 + i * i % 89});
    }
    price = StepSignal(prices);
    carbon = StepSignal(intensities);
    parts.price.assign(stations, &price);
    parts.carbon = &carbon;
  }
  StepSignal price, carbon;
  ChargeParts parts;
};

struct ClusterRun {
  std::map<std::uint64_t, Row> rows;
  std::vector<std::string> actions;
  Outcome outcome;
};

inline ClusterRun run_cluster(const Scenario& scenario, ClusterParts cluster, bool fast_forward = true) {
  ScenarioSource source(scenario);
  Rows rows;
  Actions actions;
  cluster.actions = &actions;
  const ChangingPrices prices(static_cast<std::size_t>(scenario.stations));
  EngineOptions options{.fast_forward = fast_forward};
  options.cluster = &cluster;
  options.charges = &prices.parts;
  ClusterRun run;
  run.outcome = run_engine(scenario, source, options, &rows, &actions);
  run.rows = std::move(rows.rows);
  run.actions = std::move(actions.lines);
  return run;
}

/// The first action in which two runs differ, with the one before it; empty if there is none.
inline std::string first_difference(const ClusterRun& a, const ClusterRun& b) {
  for (std::size_t i = 0; i < std::max(a.actions.size(), b.actions.size()); ++i) {
    const std::string x = i < a.actions.size() ? a.actions[i] : "none";
    const std::string y = i < b.actions.size() ? b.actions[i] : "none";
    if (x != y) return (i > 0 ? "after " + a.actions[i - 1] + "\n" : "") + "  a: " + x + "\n  b: " + y + "\n";
  }
  for (const auto& [number, row] : a.rows)
    if (b.rows.at(number).finish != row.finish || b.rows.at(number).first_token != row.first_token)
      return "row " + std::to_string(number) + " finish " + std::to_string(to_ps(row.finish)) + " and " +
             std::to_string(to_ps(b.rows.at(number).finish)) + "\n";
  for (const auto& [number, row] : a.rows)
    if (b.rows.at(number).spent != row.spent)
      return "row " + std::to_string(number) + " is charged " + std::to_string(row.spent.joules()) + " J and " +
             std::to_string(b.rows.at(number).spent.joules()) + " J\n";
  return {};
}

inline ClusterRun run_cluster(const std::string& text, const ClusterParts& cluster, bool fast_forward = true) {
  return run_cluster(parse_scenarios(text, "test").front(), cluster, fast_forward);
}

}  // namespace orrery
