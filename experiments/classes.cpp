#include "experiments/classes.hpp"

#include <algorithm>
#include <set>

#include "experiments/run_config.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

constexpr std::size_t kMostCombinations = 1'000'000;   ///< of names, for the search for classes that nobody is in

/// Who a request can be, by the names of the workload.
struct Combination {
  std::size_t tenant, of_trace, model;
};

template <class F>
void for_each_combination(const ResolvedInfo& w, F&& f) {
  if (w.tenants.size() * w.classes.size() * w.models.size() > kMostCombinations) return;
  for (std::size_t t = 0; t < w.tenants.size(); ++t)
    for (std::size_t c = 0; c < w.classes.size(); ++c)
      for (std::size_t m = 0; m < w.models.size(); ++m) f(Combination{t, c, m});
}

std::vector<std::string> named(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  std::copy_if(names.begin(), names.end(), std::back_inserter(out), [](const std::string& n) { return !n.empty(); });
  return out;
}

/// True if every name is one that a request can have.
bool known_names(const ClassConfig& c, std::string_view key, const std::vector<std::string>& wanted,
                 const std::vector<std::string>& all, ErrorList& errors) {
  bool good = true;
  const std::vector<std::string> known = named(all);
  for (const std::string& name : wanted) {
    if (std::find(all.begin(), all.end(), name) != all.end()) continue;
    good = false;
    errors.add(pointer_to(pointer_to(pointer_to("/classes", c.name), "match"), key),
               known.empty() ? "matches nothing: the requests of this workload have no " + std::string(key)
                             : "matches nothing: " + unknown_name(key, name, known));
  }
  return good;
}

ClassConfig read_class(const std::string& name, const Value& v, int index, std::vector<SloLimit>& slo,
                       ErrorList& errors) {
  ClassConfig c;
  c.name = name;
  ObjectReader r(v, errors);
  if (const Value* match = r.take("match"); match != nullptr) {
    ObjectReader m(*match, errors);
    m.strings("tenant", c.tenants);
    m.strings("class", c.classes);
    m.strings("model", c.models);
    m.finish();
  }
  if (const Value* limits = r.take("slo"); limits != nullptr) {
    for (const SloLimit& l : read_slo(*limits, index, errors)) slo.push_back(l);
  }
  JsonDescriber d(r);
  describe(d, c);
  c.has_weight = r.has("weight");
  if (const Value* retry = r.take("retry"); retry != nullptr) {
    ObjectReader again(*retry, errors);
    again.require("max");
    JsonDescriber rules(again);
    describe(rules, c.retry);
    again.finish();
  }
  if (const Value* qoe = r.take("qoe"); qoe != nullptr) {
    ObjectReader expects(*qoe, errors);
    expects.require("tpot");
    JsonDescriber rules(expects);
    describe(rules, c.qoe);
    expects.finish();
  }
  r.finish();
  return c;
}

}  // namespace

void describe(Describer& d, RetryConfig& r) {
  d.field("max", r.max, {0, 1000}, "Attempts after the first");
  d.field("backoff", r.backoff, {0, 86400},
          "Wait before the second attempt; doubles with each further one, up to a day");
}

void describe(Describer& d, QoeConfig& q) {
  d.field("ttft", q.ttft, {0, 3600}, "When the reader expects the first token");
  d.field("tpot", q.tpot, {1e-3, 60}, "Time in which the reader reads a token");
  d.field("formula", q.formula, {{"v1", 0}, {"v2", 1}}, "Whether tokens before their time make up for late ones (v1)");
}

void describe(Describer& d, ClassConfig& c) {
  d.field("priority", c.priority, {-32768, 32767}, "Lower is more urgent");
  d.field("weight", c.weight, {1e-3, 1e3}, "Share of the service, for policies that divide it (vtc)");
  d.field("timeout", c.timeout, {0, 9e6}, "The client gives an attempt up after this time; 0: never");
}

std::vector<ClassConfig> read_classes(const Value& v, std::vector<SloLimit>& slo, ErrorList& errors) {
  std::vector<ClassConfig> classes;
  if (!v.is_object()) {
    errors.add("/classes", "expected an object of classes by name, got " + brief(v));
    return classes;
  }
  for (const Value::Member& m : v.members()) {
    if (m.first.rfind("//", 0) == 0) continue;
    const int index = static_cast<int>(classes.size());
    classes.push_back(read_class(m.first, m.second, index, slo, errors));
    if (m.first == "other")
      errors.add("/classes/other", "is the class of all that match no other; choose another name");
  }
  if (classes.size() > 65534) errors.add("/classes", "expected at most 65534 classes");
  return classes;
}

bool matches(const ClassConfig& c, const std::string& tenant, const std::string& of_trace, const std::string& model) {
  const auto any = [](const std::vector<std::string>& wanted, const std::string& name) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  return any(c.tenants, tenant) && any(c.classes, of_trace) && any(c.models, model);
}

void check_classes(const std::vector<ClassConfig>& classes, const ResolvedInfo& w, ErrorList& errors) {
  std::vector<bool> reachable(classes.size(),
                              w.tenants.size() * w.classes.size() * w.models.size() > kMostCombinations);
  std::vector<std::size_t> before(classes.size(), classes.size());   ///< a class that takes what this one matches
  std::set<std::size_t> without_weight;
  for_each_combination(w, [&](const Combination& x) {
    const auto matched = [&](std::size_t i) {
      return matches(classes[i], w.tenants[x.tenant], w.classes[x.of_trace], w.models[x.model]);
    };
    std::size_t first = 0;
    while (first < classes.size() && !matched(first)) ++first;
    if (first == classes.size() || !classes[first].has_weight) without_weight.insert(x.tenant);
    if (first == classes.size()) return;
    reachable[first] = true;
    for (std::size_t i = first + 1; i < classes.size(); ++i)
      if (matched(i)) before[i] = first;
  });
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const ClassConfig& c = classes[i];
    const bool tenants = known_names(c, "tenant", c.tenants, w.tenants, errors);
    const bool of_trace = known_names(c, "class", c.classes, w.classes, errors);
    const bool models = known_names(c, "model", c.models, w.models, errors);
    if (tenants && of_trace && models && !reachable[i])
      errors.add(pointer_to("/classes", c.name), "no request can be in it: class \"" + classes[before[i]].name +
                                                     "\" stands before it and matches all that it does");
  }
  const bool weighted = std::any_of(classes.begin(), classes.end(), [](const ClassConfig& c) { return c.has_weight; });
  for (const std::size_t t : without_weight) {
    if (!weighted || (t == 0 && w.tenants.size() > 1)) continue;   // number 0: requests that name nobody
    errors.add("/classes", t == 0 ? "requests of no class have no weight, while others have one"
                                  : "tenant \"" + w.tenants[t] + "\" has no weight, while others have one");
  }
}

std::vector<ClientRule> client_rules(const std::vector<ClassConfig>& classes) {
  const bool patient = std::all_of(classes.begin(), classes.end(), [](const ClassConfig& c) {
    return c.timeout == Duration{} && c.retry.max == 0;
  });
  std::vector<ClientRule> rules;
  if (patient) return rules;
  for (const ClassConfig& c : classes)
    rules.push_back({.timeout = c.timeout > Duration{} ? c.timeout : Duration::max(),
                     .retries = static_cast<int>(c.retry.max), .backoff = c.retry.backoff});
  rules.emplace_back();   // "other"
  return rules;
}

std::vector<ServiceClass> service_classes(const std::vector<ClassConfig>& classes) {
  std::vector<ServiceClass> list;
  if (classes.empty()) return list;
  for (const ClassConfig& c : classes) list.push_back({c.weight, c.qoe.ttft, c.qoe.tpot});
  list.emplace_back();   // "other"
  return list;
}

std::vector<QoeRule> qoe_rules(const std::vector<ClassConfig>& classes) {
  std::vector<QoeRule> rules;
  const bool any = std::any_of(classes.begin(), classes.end(), [](const auto& c) { return c.qoe.tpot > Duration{}; });
  if (!any) return rules;
  for (const ClassConfig& c : classes)
    rules.push_back({c.qoe.ttft, c.qoe.tpot, c.qoe.formula == QoeConfig::Formula::kV1});
  rules.emplace_back();   // "other"
  return rules;
}

}  // namespace orrery
