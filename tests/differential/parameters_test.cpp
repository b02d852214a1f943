/// Every parameter of every policy of one instance matters: in some random scenario, another value makes another run.
/// A parameter that is read and used nowhere is told by name.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "policies/register.hpp"
#include "sim/config/reader.hpp"
#include "tests/differential/fuzz.hpp"
#include "tests/twin/engine_run.hpp"

namespace orrery {
namespace {

constexpr std::uint64_t kWithDefaults = 300, kScenarios = 20000;

/// Other values than the default, as a scenario's text has them.
std::vector<std::string> other_values(const Value& p) {
  const std::string type = p.at("type").as_string();
  const Value& usual = p.at("default");
  if (type == "boolean") return {usual.as_bool() ? "false" : "true"};
  std::vector<std::string> out;
  if (type == "enum") {
    for (const Value& v : p.at("values").items())
      if (v.as_string() != usual.as_string()) out.push_back(v.as_string());
  } else if (type == "duration") {
    out = {"0s", "1ms", "20ms", "500ms", "10s"};
  } else if (type == "numbers") {
    out = {"1,5", "3"};
  } else if (type == "string") {
    out = {"none"};
  } else {
    const bool whole = type == "integer";
    const Value *min = p.find("min"), *max = p.find("max");
    for (const double v : {0.0, 0.05, 0.3, 0.5, 0.9, 1.0, 2.0, 3.0, 7.0, 20.0, 60.0, 300.0}) {
      const bool in_range = (min == nullptr || v >= min->as_double()) && (max == nullptr || v <= max->as_double());
      if (!in_range || v == usual.as_double() || (whole && v != std::floor(v))) continue;
      out.push_back(whole ? std::to_string(static_cast<std::int64_t>(v)) : std::to_string(v));
    }
  }
  return out;
}

/// What a run decided and when; empty if the scenario does not suit the policy.
std::string outcome(const Scenario& s) {
  try {
    const Outcome o = run_engine(s, EngineOptions{}).outcome;
    return std::to_string(o.fingerprint) + " " + std::to_string(o.decisions);
  } catch (const std::invalid_argument&) {   // out of range, or paged KV is needed
    return "";
  }
}

/// Beside the defaults of the policy's other parameters, or, where those switch it off, beside drawn ones.
bool matters(const std::string& slot, const std::string& policy, const Value& parameter) {
  const std::vector<std::string> values = other_values(parameter);
  const std::string key = slot + "." + parameter.at("name").as_string();
  for (std::uint64_t i = 0; i < kScenarios; ++i) {
    Scenario s = random_scenario(71, i, static_cast<std::int64_t>(i % 30));
    if (i < kWithDefaults) {
      s.policies[slot] = policy;
      std::erase_if(s.parameters, [&](const auto& p) { return p.first.starts_with(slot + "."); });
    }
    if (s.policies[slot] != policy) continue;
    const std::string usual = outcome(s);
    if (usual.empty()) continue;
    s.parameters[key] = values[i % values.size()];
    const std::string other = outcome(s);
    if (!other.empty() && other != usual) return true;
  }
  return false;
}

template <class Interface>
void check_family() {
  const std::string slot(slot_name<Interface>());
  for (const auto& entry : shipped_policies().entries<Interface>()) {
    ListDescriber list;
    entry.make(list);
    for (const Value& p : list.parameters.items())
      EXPECT_TRUE(matters(slot, entry.name, p)) << slot << " " << entry.name << " " << p.at("name").as_string();
  }
}

TEST(Parameters, OfBatchersMatter) { check_family<Batcher>(); }
TEST(Parameters, OfOrdersMatter) { check_family<QueueOrder>(); }
TEST(Parameters, OfKvPoliciesMatter) { check_family<KvPolicy>(); }
TEST(Parameters, OfRoutersMatter) { check_family<Router>(); }
TEST(Parameters, OfPredictorsMatter) { check_family<LengthPredictor>(); }
TEST(Parameters, OfAdmissionMatters) { check_family<AdmissionPolicy>(); }

}  // namespace
}  // namespace orrery
