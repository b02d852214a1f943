#include "experiments/verbs.hpp"

#include <algorithm>
#include <ostream>

#include "experiments/policy_set.hpp"
#include "experiments/run.hpp"
#include "experiments/schema.hpp"
#include "policies/register.hpp"
#include "sim/config/names.hpp"
#include "sim/plugin.hpp"

namespace orrery {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + " ";
}

std::string shown(const Value& v) { return v.is_string() ? v.as_string() : to_json(v, -1); }

/// "1..1048576 tokens", "recompute | swap".
std::string allowed(const Value& p) {
  std::string out;
  if (const Value* values = p.find("values")) {
    for (const Value& v : values->items()) out += (out.empty() ? "" : " | ") + v.as_string();
    return out;
  }
  const Value *min = p.find("min"), *max = p.find("max"), *unit = p.find("unit");
  if (min != nullptr || max != nullptr) out = (min ? shown(*min) : "") + ".." + (max ? shown(*max) : "");
  if (unit != nullptr) out += (out.empty() ? "" : " ") + unit->as_string();
  return out;
}

void print_policy(const Value& p, std::ostream& out) {
  out << p.at("name").as_string() << "  (" << p.at("slot").as_string() << ")  " << p.at("system").as_string() << '\n';
  if (!p.at("aliases").items().empty()) {
    out << "  also:";
    for (const Value& a : p.at("aliases").items()) out << ' ' << a.as_string();
    out << '\n';
  }
  for (const Value& q : p.at("parameters").items()) {
    out << "  " << padded(q.at("name").as_string(), 24) << padded(q.at("type").as_string(), 9)
        << padded("= " + shown(q.at("default")), 14) << padded(allowed(q), 22) << q.at("help").as_string() << '\n';
  }
}

}  // namespace

int policies_verb(const std::string& name, const std::vector<std::string>& plugins, bool json, std::ostream& out) {
  Registry registry = shipped_policies();
  for (const std::string& argument : plugins) load_plugin(registry, argument);
  const Value list = list_policies(registry, name);
  if (json) {
    out << to_json(list) << '\n';
    return kExitDone;
  }
  if (!name.empty()) {
    for (const Value& p : list.items()) print_policy(p, out);
    return kExitDone;
  }
  std::string slot;
  for (const Value& p : list.items()) {
    if (p.at("slot").as_string() != slot) {
      out << (slot.empty() ? "" : "\n") << p.at("slot").as_string() << '\n';
      slot = p.at("slot").as_string();
    }
    out << "  " << padded(p.at("name").as_string(), 20) << p.at("system").as_string() << '\n';
  }
  out << "\nOne of them in full: orrery policies NAME\n";
  return kExitDone;
}

int schema_verb(const std::string& kind, std::ostream& out) {
  if (kind == "study" || kind == "plan") throw ConfigError("schema " + kind + ": not available in this version");
  if (!kind.empty() && kind != "run") throw ConfigError(unknown_name("schema", kind, {"run"}, {"study", "plan"}));
  out << to_json(run_schema(shipped_policies())) << '\n';
  return kExitDone;
}

}  // namespace orrery
