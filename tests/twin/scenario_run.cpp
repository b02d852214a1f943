#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>
#include <stdexcept>

#include "policies/register.hpp"
#include "sim/registry.hpp"
#include "tests/twin/scenario.hpp"

namespace orrery {
namespace {

/// Fills a policy's parameters from the scenario's `key=value` words: `slot.key` first, then `key`.
class TextDescriber final : public Describer {
 public:
  TextDescriber(const Scenario& scenario, std::string slot, std::set<std::string>& used)
      : scenario_(scenario), slot_(std::move(slot)), used_(used) {}

  void field(std::string_view name, std::int64_t& value, Range r, std::string_view, std::string_view) override {
    if (const std::string* text = find(name)) value = static_cast<std::int64_t>(in_range(name, std::stod(*text), r));
  }
  void field(std::string_view name, double& value, Range r, std::string_view, std::string_view) override {
    if (const std::string* text = find(name)) value = in_range(name, std::stod(*text), r);
  }
  void field(std::string_view name, bool& value, std::string_view) override {
    if (const std::string* text = find(name)) value = *text == "true" || *text == "1";
  }
  void field(std::string_view name, std::string& value, std::string_view) override {
    if (const std::string* text = find(name)) value = *text;
  }
  void field(std::string_view name, std::vector<double>& value, Range r, std::string_view) override {
    const std::string* text = find(name);
    if (!text) return;
    value.clear();
    std::istringstream in(*text);
    for (std::string item; std::getline(in, item, ',');) value.push_back(in_range(name, std::stod(item), r));
  }
  void duration(std::string_view name, Duration& value, Range r, std::string_view) override {
    if (const std::string* text = find(name)) in_range(name, to_seconds(value = parse_duration(*text)), r);
  }
  void enumeration(std::string_view name, int& value, const std::vector<EnumName>& names, std::string_view) override {
    const std::string* text = find(name);
    if (!text) return;
    for (const EnumName& n : names)
      if (n.name == *text) {
        value = n.value;
        return;
      }
    throw std::invalid_argument(std::string(name) + " has no value " + *text);
  }

 private:
  const std::string* find(std::string_view name) {
    for (const std::string& key : {slot_ + "." + std::string(name), std::string(name)}) {
      const auto at = scenario_.parameters.find(key);
      if (at == scenario_.parameters.end()) continue;
      used_.insert(key);
      return &at->second;
    }
    return nullptr;
  }
  static double in_range(std::string_view name, double value, Range r) {
    if (value < r.min || value > r.max) throw std::invalid_argument(std::string(name) + " is out of range");
    return value;
  }

  const Scenario& scenario_;
  std::string slot_;
  std::set<std::string>& used_;
};

template <class Interface>
std::unique_ptr<Interface> make(const Scenario& s, const std::string& by_default, std::set<std::string>& used) {
  const std::string slot(slot_name<Interface>());
  const auto chosen = s.policies.find(slot);
  const std::string name = chosen == s.policies.end() ? by_default : chosen->second;
  if (name == "none" && slot != "predictor" && slot != "admission") return nullptr;
  const auto* entry = shipped_policies().find<Interface>(name);
  if (!entry) throw std::invalid_argument("no " + slot + " policy named " + name);
  TextDescriber describer(s, slot, used);
  return entry->make(describer);
}

}  // namespace

template <class Interface>
std::unique_ptr<Interface> make_policy(const std::string& name, const std::map<std::string, std::string>& parameters) {
  Scenario one;
  one.policies[std::string(slot_name<Interface>())] = name;
  one.parameters = parameters;
  std::set<std::string> used;
  auto policy = make<Interface>(one, name, used);
  for (const auto& [key, value] : parameters)
    if (!used.count(key)) throw std::invalid_argument("no policy has the parameter " + key);
  return policy;
}
template std::unique_ptr<ClusterPolicy> make_policy(const std::string&, const std::map<std::string, std::string>&);
template std::unique_ptr<PowerPolicy> make_policy(const std::string&, const std::map<std::string, std::string>&);
template std::unique_ptr<ScalingRule> make_policy(const std::string&, const std::map<std::string, std::string>&);

ScenarioPolicies::ScenarioPolicies(const Scenario& s) : cost(s.cost) {
  std::set<std::string> used;
  for (int i = 0; i < s.stations; ++i) {
    batchers.push_back(make<Batcher>(s, "sarathi", used));
    orders.push_back(make<QueueOrder>(s, "fcfs", used));
  }
  kv = make<KvPolicy>(s, "paged", used);
  predictor = make<LengthPredictor>(s, "none", used);
  router = make<Router>(s, s.stations > 1 ? "round-robin" : "none", used);
  admission = make<AdmissionPolicy>(s, "none", used);
  for (const auto& [key, value] : s.parameters)
    if (!used.count(key)) throw std::invalid_argument("no policy has the parameter " + key);
  if (kv->contiguous() && s.engine.prefix != TwinPrefix::kNone)
    throw std::invalid_argument("a prefix cache needs paged KV");
}

ScenarioPolicies::~ScenarioPolicies() = default;

TwinResult run_twin(const Scenario& scenario, const std::function<Batcher*(Batcher&)>& around, const CostModel* cost) {
  ScenarioPolicies policies(scenario);
  TwinConfig config = scenario.engine;
  config.cost = cost ? cost : &policies.cost;
  config.kv = policies.kv.get();
  for (auto& order : policies.orders) config.orders.push_back(order.get());
  config.predictor = policies.predictor.get();
  config.router = policies.router.get();
  config.admission = policies.admission.get();
  for (auto& batcher : policies.batchers) config.batchers.push_back(around ? around(*batcher) : batcher.get());
  ScenarioSource source(scenario);
  TwinResult result = run_twin(config, source);
  for (const TwinRow& row : result.rows) result.names.push_back(source.name(row.number));
  return result;
}

std::string observed(const Scenario& scenario, const TwinResult& result, const std::string& what) {
  const auto dot = what.find('.');
  const std::string name = what.substr(0, dot), field = dot == std::string::npos ? "" : what.substr(dot + 1);
  auto time = [](Time t) { return t == kNever ? std::string("never") : duration_text(t.time_since_epoch()); };
  auto count = [](Wide n) { return std::to_string(static_cast<std::int64_t>(n)); };
  if (what == "end") return time(result.end);
  if (name == "sum") {
    const TwinSums& sums = result.sums;
    if (field == "computed") return count(sums.computed);
    if (field == "delivered") return count(sums.delivered);
    if (field == "recomputed") return count(sums.recomputed);
    if (field == "wasted") return count(sums.wasted);
    if (field == "padded") return count(sums.padded);
    if (field == "iterations") return count(sums.iterations);
    if (field == "preemptions") return count(sums.preemptions);
    if (field == "swaps") return count(sums.swaps);
    if (field == "host_in") return count(sums.host_in);
    if (field == "host_out") return count(sums.host_out);
  }
  constexpr std::string_view status[] = {"done", "rejected", "failed", "cancelled", "timed_out", "in_flight"};
  if (name == "count") {
    const auto is = [&](const TwinRow& row) { return status[static_cast<int>(row.status)] == field; };
    return count(std::count_if(result.rows.begin(), result.rows.end(), is));
  }
  for (std::size_t i = 0; i < result.rows.size() && field != ""; ++i) {
    const TwinRow& row = result.rows[i];
    if (result.names[i] != name) continue;
    if (field == "first") return time(row.first_token);
    if (field == "finish") return time(row.finish);
    if (field == "schedule") return time(row.first_schedule);
    if (field == "status") return std::string(status[static_cast<int>(row.status)]);
    if (field == "cached") return count(row.cached);
    if (field == "preempted") return count(row.preemptions);
    if (field == "retries") return count(row.retries);
    if (field == "qoe") {
      std::ostringstream text;
      text << row.qoe;
      return text.str();
    }
    if (field == "station") return count(row.station);
    if (field == "output") return count(row.output);
  }
  throw std::invalid_argument(scenario.title + ": nothing is called " + what);
}

std::string failures(const Scenario& scenario, const TwinResult& result) {
  std::string text;
  for (const Expectation& e : scenario.expectations) {
    const std::string seen = observed(scenario, result, e.what);
    bool same = seen == e.value;
    auto is = [](auto kind, char c) { return kind(static_cast<unsigned char>(c)) != 0; };
    auto digit = [](int c) { return std::isdigit(c); };
    auto letter = [](int c) { return std::isalpha(c); };
    if (!same && !seen.empty() && is(digit, seen[0]) && is(letter, seen.back()))
      same = e.value != "never" && parse_duration(seen) == parse_duration(e.value);   // 0.5s is 500ms
    if (!same) text += e.where + ": " + e.what + " is " + seen + ", expected " + e.value + "\n";
  }
  return text;
}

}  // namespace orrery
