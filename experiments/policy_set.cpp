#include "experiments/policy_set.hpp"

#include <algorithm>

#include "policies/register.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

struct Names {
  std::vector<std::string> names, aliases;
};

template <class Interface>
void add_names(const Registry& registry, Names& out) {
  for (const auto& e : registry.entries<Interface>()) {
    out.names.push_back(e.name);
    out.aliases.insert(out.aliases.end(), e.aliases.begin(), e.aliases.end());
  }
}

template <class Interface>
Value parameters_of(const PolicyEntry<Interface>& entry) {
  ListDescriber list;
  entry.make(list);
  return list.parameters;
}

bool has_parameter(const Value& parameters, std::string_view name) {
  return std::any_of(parameters.items().begin(), parameters.items().end(),
                     [&](const Value& p) { return p.at("name").as_string() == name; });
}

/// Reads the parameters and makes the policy; null (and an error) if its name or a parameter is wrong.
template <class Interface>
std::unique_ptr<Interface> make(const PolicyChoice& choice, const Registry& registry, ErrorList& errors,
                                Value* resolved, std::string pointer = "") {
  constexpr std::string_view slot = slot_name<Interface>();
  if (pointer.empty()) pointer = "/policy/" + std::string(slot);
  const PolicyEntry<Interface>* entry = registry.find<Interface>(choice.name);
  if (entry == nullptr) {
    Names known;
    add_names<Interface>(registry, known);
    errors.add(pointer, unknown_name(slot, choice.name, known.names, known.aliases));
    return nullptr;
  }
  const std::size_t before = errors.lines().size();
  ObjectReader reader(choice.parameters, errors);
  JsonDescriber json(reader);
  DumpDescriber dump(json);
  std::unique_ptr<Interface> policy = entry->make(dump);
  reader.finish();
  if (resolved != nullptr) {
    Value& out = (*resolved)[slot];
    out = Value::object();
    out["name"] = entry->name;
    for (const Value::Member& m : dump.values.members()) out[m.first] = m.second;
  }
  return errors.lines().size() == before ? std::move(policy) : nullptr;
}

/// A batching policy without the choice: does it do what /engine/chunked_prefill says anyway?
void check_cuts(const PolicyEntry<Batcher>& entry, const EngineConfig& engine, ErrorList& errors) {
  const std::vector<std::string>& preset = engine.from_preset;
  if (std::find(preset.begin(), preset.end(), "chunked_prefill") != preset.end()) return;
  ListDescriber list;
  const bool cuts = entry.make(list)->cuts_prompts();
  if (cuts == engine.chunked_prefill) return;
  errors.add("/engine/chunked_prefill",
             cuts ? "/policy/batching \"" + entry.name + "\" always splits long prompts; false needs one that need "
                                                        "not, such as \"vllm\", \"tgi\" or \"tensorrt-llm\""
                  : "/policy/batching \"" + entry.name + "\" computes every prompt in one piece; true needs one that "
                                                        "splits them, such as \"vllm-v1\", \"sarathi\" or \"tgi\"");
}

PolicyChoice with_engine_limits(const RunConfig& config, const Registry& registry, ErrorList& errors) {
  PolicyChoice batching = config.policy.batching;
  const auto* entry = registry.find<Batcher>(batching.name);
  if (entry == nullptr) return batching;
  const Value known = parameters_of(*entry);
  const std::vector<std::string>& preset = config.engine.from_preset;
  const auto pass = [&](bool given, std::string_view key, std::string_view parameter, const Value& value) {
    if (!given || batching.parameters.find(parameter) != nullptr) return;
    if (has_parameter(known, parameter)) batching.parameters[parameter] = value;
    else if (std::find(preset.begin(), preset.end(), key) == preset.end())
      errors.add(pointer_to("/engine", key), "the batching policy \"" + batching.name + "\" has no such setting");
  };
  const EngineConfig& e = config.engine;
  pass(e.max_num_seqs > 0, "max_num_seqs", "max_running", Value(e.max_num_seqs));
  pass(e.max_num_batched_tokens > 0, "max_num_batched_tokens", "token_budget", Value(e.max_num_batched_tokens));
  if (e.chunked_prefill_given && !has_parameter(known, "chunked_prefill")) check_cuts(*entry, e, errors);
  else pass(e.chunked_prefill_given, "chunked_prefill", "chunked_prefill", Value(e.chunked_prefill));
  batching.parameters.anchor(batching.parameters.pointer());
  return batching;
}

/// The KV policy that the batching system is used with, where the config names none.
PolicyChoice kv_choice(const RunConfig& config, const Registry& registry) {
  PolicyChoice kv = config.policy.kv;
  const auto* batching = registry.find<Batcher>(config.policy.batching.name);
  if (kv.given || batching == nullptr) return kv;
  const Value usual = parse_json(usual_kv(batching->name), "usual KV of " + batching->name);
  if (usual.is_string()) {
    kv.name = usual.as_string();
    return kv;
  }
  kv.name = usual.at("name").as_string();
  kv.parameters = usual;
  kv.parameters.erase("name");
  kv.parameters.anchor("/policy/kv");
  return kv;
}

template <class Interface>
void list_slot(const Registry& registry, std::string_view name, Value& out) {
  for (const auto& e : registry.entries<Interface>()) {
    const bool wanted =
        name.empty() || e.name == name || std::find(e.aliases.begin(), e.aliases.end(), name) != e.aliases.end();
    if (!wanted) continue;
    Value entry = Value::object();
    entry["name"] = e.name;
    entry["slot"] = slot_name<Interface>();
    entry["system"] = e.system;
    entry["aliases"] = Value::array();
    for (const std::string& alias : e.aliases) entry["aliases"].push_back(alias);
    entry["parameters"] = parameters_of(e);
    out.push_back(std::move(entry));
  }
}

}  // namespace

std::unique_ptr<ScalingRule> make_scaling_rule(const PolicyChoice& rule, const std::string& pointer,
                                               const Registry& registry, ErrorList& errors, Value* resolved) {
  return make<ScalingRule>(rule, registry, errors, resolved, pointer);
}

PolicySet make_policies(const RunConfig& config, const Registry& registry, ErrorList& errors) {
  PolicySet p;
  const PolicyChoice batching = with_engine_limits(config, registry, errors);
  for (std::int64_t i = 0; i < config.cluster.replicas; ++i) {
    auto batcher = make<Batcher>(batching, registry, errors, i == 0 ? &p.resolved : nullptr);
    if (batcher == nullptr) break;
    p.batchers.push_back(std::move(batcher));
  }
  for (std::int64_t i = 0; i < config.cluster.replicas; ++i) {
    auto order = make<QueueOrder>(config.policy.order, registry, errors, i == 0 ? &p.resolved : nullptr);
    if (order == nullptr) break;
    p.orders.push_back(std::move(order));
  }
  p.predictor = make<LengthPredictor>(config.policy.predictor, registry, errors, &p.resolved);
  p.kv = make<KvPolicy>(kv_choice(config, registry), registry, errors, &p.resolved);
  p.router = make<Router>(config.policy.router, registry, errors, &p.resolved);
  p.admission = make<AdmissionPolicy>(config.policy.admission, registry, errors, &p.resolved);
  if (config.policy.cluster.given)
    p.cluster = make<ClusterPolicy>(config.policy.cluster, registry, errors, &p.resolved);
  return p;
}

std::unique_ptr<PowerPolicy> make_power_policy(const PowerConfig& power, const Registry& registry, ErrorList& errors,
                                               Value* resolved) {
  return make<PowerPolicy>(power.policy, registry, errors, resolved, power.pointer + "/policy");
}

Value list_policies(const Registry& registry, std::string_view name) {
  Value out = Value::array();
  list_slot<Batcher>(registry, name, out);
  list_slot<QueueOrder>(registry, name, out);
  list_slot<LengthPredictor>(registry, name, out);
  list_slot<KvPolicy>(registry, name, out);
  list_slot<Router>(registry, name, out);
  list_slot<AdmissionPolicy>(registry, name, out);
  list_slot<ClusterPolicy>(registry, name, out);
  list_slot<PowerPolicy>(registry, name, out);
  list_slot<ScalingRule>(registry, name, out);
  if (!name.empty() && out.items().empty()) {
    Names known;
    add_names<Batcher>(registry, known);
    add_names<QueueOrder>(registry, known);
    add_names<LengthPredictor>(registry, known);
    add_names<KvPolicy>(registry, known);
    add_names<Router>(registry, known);
    add_names<AdmissionPolicy>(registry, known);
    add_names<ClusterPolicy>(registry, known);
    add_names<PowerPolicy>(registry, known);
    add_names<ScalingRule>(registry, known);
    throw ConfigError(unknown_name("policy", name, known.names, known.aliases));
  }
  return out;
}

}  // namespace orrery
