/// /power and /signals from the config to the summary: what is refused at load, what is conserved, who is attributed
/// what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "experiments/assembly.hpp"
#include "experiments/screen.hpp"
#include "experiments/summary.hpp"

namespace orrery {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kRow = R"({
  "model": "bloom-176b", "hardware": {"name": "a100-80g", "cost": "splitwise"},
  "cluster": {"pools": [{"name": "high", "replicas": 2, "tp": 8}, {"name": "low", "priority": 1, "replicas": 2, "tp": 8}]},
  "policy": {"batching": "vllm", "cluster": "by-priority"},
  "workload": {"arrival": {"process": "poisson", "rate": 2}, "lengths": "azure-conv-2023", "requests": 300,
               "tenants": [{"name": "hp", "share": 0.5}, {"name": "lp", "share": 0.5}]},
  "classes": {"high": {"match": {"tenant": ["hp"]}, "priority": 0}, "low": {"match": {"tenant": ["lp"]}, "priority": 1}},
  "warmup": 0)";

Value summary_with(const std::string& more, bool fast_forward = true) {
  const Assembly a = assemble(Document{parse_json(kRow + more + "}"), {"row.json"}, "."});
  RunResult r;
  r.deployment = a.deployment.facts;
  r.classes = a.class_names();
  Watch watch;
  watch.fast_forward = fast_forward;
  r.replications.push_back(replicate(a, 1, watch));
  EXPECT_TRUE(r.first().broken.empty()) << r.first().broken.front();
  return summary_of(r);
}

std::string error_with(const std::string& more) {
  try {
    assemble(Document{parse_json(kRow + more + "}"), {"row.json"}, "."});
  } catch (const ConfigError& e) { return e.what(); }
  return "none";
}

double number(const Value& summary, std::string_view dotted) {
  const Value* v = find_path(summary, dotted);
  if (v == nullptr) throw std::logic_error("no " + std::string(dotted));
  return v->as_double();
}

TEST(PowerConfig, WhatNoRowCanKeepIsRefused) {
  // 4 servers of 8 devices at 63 W, half as much again, and 100 W each
  EXPECT_EQ(error_with(R"(, "power": [{"domain": "row", "budget": "3kW", "server": {"constant": 100, "share": 0.5}, "policy": "polca"}])"),
            "/power/0/budget: expected more than 3424 W, which its servers draw when idle, got 3000 W");
  EXPECT_THAT(error_with(R"(, "power": [{"domain": "row", "budget": "30kW", "policy": {"name": "polca", "low_t2": 1000}}])"),
              HasSubstr("/power/0/policy: clock 1000 MHz: expected one of 1410, 1305, 1275, 1110, 288"));
  EXPECT_EQ(error_with(R"(, "power": [{"domain": "row", "budget": "30kW", "policy": "polka"}])"),
            "/power/0/policy: unknown power \"polka\"; did you mean \"polca\"?");
  EXPECT_EQ(error_with(R"(, "power": [{"domain": "row", "budget": "30kW", "policy": {"name": "polca", "t1": 2}}])"),
            "/power/0/policy/t1: expected a number in [0, 1], got 2");
}

TEST(PowerConfig, DevicesWithoutClocksAreRefused) {
  EXPECT_EQ(
      [] {
        try {
          assemble(Document{parse_json(R"({"model": "llama-3.1-8b", "hardware": "h100-sxm", "power": [{"domain": "row", "budget": "3kW"}],
              "workload": {"arrival": {"process": "poisson", "rate": 2}, "lengths": "azure-conv-2023", "requests": 30}})"), {"x"}, "."});
        } catch (const ConfigError& e) { return std::string(e.what()); }
        return std::string();
      }(),
      "/power/0/policy: hardware \"h100-sxm\": its clocks are not known");
}

TEST(PowerConfig, SignalsOfPowerNameTheirDomain) {
  EXPECT_EQ(error_with(R"(, "signals": {"power": 5000})"), "/signals/power: counts in a power domain; there is none in /power");
  EXPECT_EQ(error_with(R"(, "power": [{"domain": "row", "budget": "30kW"}], "signals": {"power": {"value": 1, "domain": "rwo"}})"),
            "/signals/power/domain: there is no power domain \"rwo\"");
  EXPECT_THAT(error_with(R"(, "signals": {"carbon": "no-such.csv"})"), HasSubstr("/signals/carbon: \"no-such.csv\" not found in"));
}

TEST(PowerSummary, ARowThatNobodyCapsDrawsWhatItsServersDo) {
  const Value s = summary_with(R"(, "power": [{"domain": "row", "budget": "90kW", "server": {"constant": 1000}}])");
  EXPECT_EQ(number(s, "power.brakes"), 0);
  EXPECT_EQ(number(s, "power.capped_s"), 0);
  const double seconds = number(s, "duration_s");
  EXPECT_NEAR(number(s, "power.mean_w"), number(s, "energy.joules") / seconds + 4000, 0.01);
  EXPECT_GE(number(s, "power.peak_w"), number(s, "power.mean_w"));
  EXPECT_NEAR(number(s, "power.peak_fraction"), number(s, "power.peak_w") / 90e3, 1e-12);
  EXPECT_LE(number(s, "power.server_peak_w"), 1000 + 8 * 412);   // no step draws more than the largest published one
}

TEST(PowerSummary, OthersOnTheRowCountInIt) {
  const std::string row = R"(, "power": [{"domain": "row", "budget": "90kW"}])";
  const Value alone = summary_with(row), beside = summary_with(row + R"(, "signals": {"power": 5000})");
  EXPECT_NEAR(number(beside, "power.mean_w"), number(alone, "power.mean_w") + 5000, 0.01);
}

/// The same row under POLCA, fast-forwarded and stepped.
TEST(PowerSummary, FastForwardEqualsStepping) {
  const std::string row = R"(, "power": [{"domain": "row", "budget": "9kW", "cap_delay": "10s", "policy": "polca"}])";
  const Value fast = summary_with(row), stepped = summary_with(row, false);
  EXPECT_GT(number(fast, "power.caps"), 0);
  EXPECT_EQ(to_json(fast.at("power")), to_json(stepped.at("power")));
  EXPECT_EQ(fast.at("fingerprint").as_string(), stepped.at("fingerprint").as_string());
}

TEST(PowerSummary, LowPriorityRequestsGoToLowPriorityServers) {
  const std::string row = R"(, "power": [{"domain": "row", "budget": "14kW", "cap_delay": "0s", "policy": {"name": "one-threshold-low", "threshold": 0}}])";
  const Value free = summary_with(""), capped = summary_with(row);
  EXPECT_EQ(number(capped, "by_class.high.e2e_s.mean"), number(free, "by_class.high.e2e_s.mean"));
  EXPECT_GT(number(capped, "by_class.low.e2e_s.mean"), number(free, "by_class.low.e2e_s.mean"));
}

TEST(Signals, ConstantOnesAreProductsAndSharesAddUp) {
  const Value s = summary_with(R"(, "signals": {"carbon": {"value": 300, "pue": 1.5}, "price": 2})");
  EXPECT_NEAR(number(s, "carbon.grams"), number(s, "energy.joules") / 3.6e6 * 450, 1e-9 * number(s, "carbon.grams"));
  EXPECT_NEAR(number(s, "cost.usd"), 4 * 8 * 2 * number(s, "duration_s") / 3600, 1e-9);
  for (const std::string key : {"carbon.grams", "cost.usd", "energy.joules"}) {
    const double all = number(s, key), high = number(s, "by_class.high." + key), low = number(s, "by_class.low." + key);
    EXPECT_NEAR(high + low, all, 1e-9 * all) << key;
    EXPECT_GT(high, 0.3 * all);
    double tenants = 0;
    for (const Value& t : s.at("tenants").items()) tenants += number(t, key);
    EXPECT_NEAR(tenants, all, 1e-9 * all) << key;
  }
}

/// Steps are charged to those who are in them, idle time to nobody.
TEST(Signals, WhatRequestsAreChargedAddsUpByClassAndTenant) {
  const Value s = summary_with(R"(, "signals": {"carbon": 300, "price": 2})");
  const double busy = number(s, "utilisation.busy"), usd = number(s, "charged.usd");
  EXPECT_NEAR(usd, busy * number(s, "cost.usd"), 1e-9 * usd);
  EXPECT_LT(number(s, "charged.joules"), number(s, "energy.joules"));
  EXPECT_NEAR(number(s, "charged.grams"), number(s, "charged.joules") / 3.6e6 * 300, 1e-9 * number(s, "charged.grams"));
  for (const std::string key : {"joules", "usd", "grams"}) {
    const double all = number(s, "charged." + key);
    const double classes = number(s, "by_class.high.charged." + key) + number(s, "by_class.low.charged." + key);
    EXPECT_NEAR(classes, all, 1e-12 * all) << key;
    double tenants = 0;
    for (const Value& t : s.at("tenants").items()) tenants += number(t, "charged." + key);
    EXPECT_NEAR(tenants, all, 1e-12 * all) << key;
  }
}

TEST(Screen, HasALineOfPowerAndTheCarbonOfATokenWhereTheyAreKnown) {
  const std::string row = R"(, "power": [{"domain": "row", "budget": "9kW", "cap_delay": "10s", "policy": "polca"}])";
  const auto unwrapped = [](std::string text) {
    for (std::size_t at; (at = text.find("\n            ")) != std::string::npos;) text.replace(at, 13, " ");
    return text;
  };
  const std::string plain = screen_of(summary_with("")), capped = unwrapped(screen_of(summary_with(row)));
  EXPECT_THAT(plain, Not(HasSubstr("\n power ")));
  EXPECT_THAT(plain, Not(HasSubstr("gCO2")));
  EXPECT_THAT(capped, HasSubstr("\n power "));
  EXPECT_THAT(capped, HasSubstr(" % of 9,000 W, rise in 40 s "));
  EXPECT_THAT(capped, HasSubstr(" s capped | BRAKED "));
  const std::string two = unwrapped(screen_of(summary_with(R"(, "power": [{"domain": "a", "pools": ["high"], "budget": "45kW"},
      {"domain": "b", "pools": ["low"], "budget": "45kW"}], "signals": {"carbon": 300})")));
  EXPECT_THAT(two, HasSubstr("\n power      a: mean "));
  EXPECT_THAT(two, HasSubstr(" b: mean "));
  EXPECT_THAT(two, HasSubstr(" | no cap | no brake"));
  EXPECT_THAT(two, HasSubstr(" gCO2 per 1k output tokens | busy "));
}

TEST(Signals, AFileIsReadFromItsStart) {
  const std::string path = testing::TempDir() + "power_test_grid.csv";
  std::ofstream(path) << "hour,clean,dirty\n0,100,1000\n1,50,500\n2,70,700\n";
  const std::string at = R"(, "signals": {"carbon": {"file": ")" + path + R"(", "column": "dirty", "start": )";
  const double joules = number(summary_with(""), "energy.joules");
  EXPECT_NEAR(number(summary_with(at + R"("1h"}})"), "carbon.grams"), joules / 3.6e6 * 500, 1e-6);
  EXPECT_NEAR(number(summary_with(at + R"("9h"}})"), "carbon.grams"), joules / 3.6e6 * 700, 1e-6);
  std::ofstream(path) << "hour,clean\n0,100\n2,50\n1,70\n";
  EXPECT_THAT(error_with(R"(, "signals": {"carbon": ")" + path + R"("})"),
              HasSubstr("power_test_grid.csv:4: hour: must increase from row to row, got \"1,70\""));
}

TEST(Signals, APoolHasItsOwnPrice) {
  const Value s = summary_with(R"(, "signals": {"price": [{"value": 1, "pools": ["low"]}, {"value": 3}]})");
  EXPECT_NEAR(number(s, "cost.usd"), (2 * 8 * 1 + 2 * 8 * 3) * number(s, "duration_s") / 3600, 1e-9);
}

}  // namespace
}  // namespace orrery
