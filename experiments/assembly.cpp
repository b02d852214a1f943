#include "experiments/assembly.hpp"

#include <algorithm>

#include "experiments/key_places.hpp"
#include "experiments/live.hpp"
#include "experiments/placement.hpp"
#include "experiments/power.hpp"
#include "experiments/sources.hpp"
#include "policies/register.hpp"
#include "sim/plugin.hpp"

namespace orrery {
namespace {

/// Every plug-in that the config names needs its path from the command line; one that only the command line names is
/// loaded and recorded as well.
void load_plugins(std::vector<std::string>& named, const std::vector<std::string>& arguments, Registry& registry,
                  ErrorList& errors) {
  std::vector<std::string> loaded;
  for (const std::string& argument : arguments) {
    try {
      loaded.push_back(load_plugin(registry, argument));
    } catch (const ConfigError& e) {
      errors.add(e);
      loaded.push_back(argument.substr(0, argument.find('=')));
    }
  }
  for (std::size_t i = 0; i < named.size(); ++i) {
    if (std::find(loaded.begin(), loaded.end(), named[i]) == loaded.end()) {
      errors.add("/plugins/" + std::to_string(i), "give its path: --plugin " + named[i] + "=PATH");
    }
  }
  for (const std::string& name : loaded) {
    if (std::find(named.begin(), named.end(), name) == named.end()) named.push_back(name);
  }
}

void check_resampling(const Assembly& a, const RequestSource& source, ErrorList& errors) {
  if (a.config.replication.resample == ReplicationConfig::Resample::kOn && a.workload.random) {
    errors.add("/replication/resample", "needs a trace; this workload is drawn anew by every seed");
  } else if (a.resamples() && source.wants_done()) {
    errors.add("/replication/resample", "needs arrivals that do not wait for answers; this workload is a closed loop");
  }
}

void check_together(const RunConfig& c, const PolicySet& p, const DeploymentParts& d, ErrorList& errors) {
  const bool named_kv_contiguous = p.kv != nullptr && p.kv->block_tokens() == Tokens{1};
  if (named_kv_contiguous && c.engine.prefix_cache != "none") {
    errors.add("/engine/prefix_cache", "needs paged KV; /policy/kv \"" + p.resolved.at("kv").at("name").as_string() +
                                           "\" keeps each request in one piece");
  }
  if (d.hardware != nullptr && (d.hardware->steps != nullptr || d.hardware->profile != nullptr) &&
      c.replication.model_error) {
    errors.add("/replication/model_error", "needs the operators' errors; /hardware/cost is " +
                                               to_json(d.resolved_hardware.at("cost")));
  }
  if (!c.engine.tier.name.empty() && c.engine.prefix_cache == "none") {
    errors.add("/engine/kv_tiers", "holds what a prefix cache evicts; /engine/prefix_cache is \"none\"");
  }
  const KvLayout::Name layout = c.engine.variants.layout.name;
  if (layout == KvLayout::Name::kVirtual && c.engine.prefix_cache != "none") {
    errors.add("/engine/prefix_cache", "needs paged KV; a virtually contiguous sequence shares no memory");
  }
  if ((layout == KvLayout::Name::kContiguous) != named_kv_contiguous) {
    const bool virtual_memory = layout == KvLayout::Name::kVirtual;
    if (layout == KvLayout::Name::kContiguous) {
      errors.add("/engine/kv_layout", "\"contiguous\" needs a /policy/kv that keeps each request in one piece");
    } else if (virtual_memory) {
      errors.add("/engine/kv_layout", "\"virtual-contiguous\" maps on demand; /policy/kv \"" +
                                          p.resolved.at("kv").at("name").as_string() + "\" reserves one piece");
    }
  }
}

/// Rules by their names and parameters, events by where instances stand.
void check_operations(const Assembly& a, const PolicySet& policies, ErrorList& errors) {
  for (const ScalingConfig& c : a.config.scaling)
    make_scaling_rule(c.rule, pointer_to(c.pointer, "rule"), *a.registry, errors, nullptr);
  if (a.pools.size() != a.config.pools.size()) return;
  const ClusterParts cluster = cluster_parts(a);
  check_events(a.config.events, cluster, errors);
  check_lifecycles(a.config, policies.cluster.get(), cluster, errors);
}

}  // namespace

std::vector<std::string> Assembly::class_names() const {
  std::vector<std::string> names;
  if (!config.classes.empty()) {
    for (const ClassConfig& c : config.classes) names.push_back(c.name);
    names.emplace_back("other");
  } else if (workload.classes.size() > 1) {
    for (const std::string& c : workload.classes) names.push_back(c.empty() ? "other" : c);
  }
  return names;
}

std::vector<std::string> Assembly::pool_of_stations() const {
  std::vector<std::string> names;
  for (const PoolAssembly& p : pools)
    names.insert(names.end(), static_cast<std::size_t>(p.config.cluster.replicas), p.name);
  return names;
}

bool Assembly::resamples() const {
  using Resample = ReplicationConfig::Resample;
  const Resample r = config.replication.resample;
  return r == Resample::kOn || (r == Resample::kAuto && !workload.random);
}

std::vector<std::string> Assembly::random() const {
  std::vector<std::string> out;
  if (workload.random) out.emplace_back("workload");
  if (resamples()) out.emplace_back("trace (block bootstrap)");
  if (random_router) {
    const std::string slot = resolved_policies.find("cluster") == nullptr ? "router" : "cluster";
    out.push_back(slot + " " + resolved_policies.at(slot).at("name").as_string());
  }
  if (random_predictor) out.push_back("predictor " + predictor);
  if (config.replication.model_error) out.emplace_back("cost model (its fitted error)");
  return out;
}

Assembly assemble(Document document, const std::vector<std::string>& plugins, const std::string& executor) {
  Assembly a;
  ErrorList errors;
  errors.elsewhere = key_places();
  document = place(std::move(document), plugins, a.placement, errors);
  const std::vector<std::string> preset_keys = apply_preset(document, errors);
  a.config = read_run_config(std::move(document), errors);
  a.config.engine.from_preset = preset_keys;
  a.registry = std::make_shared<Registry>();
  register_policies(*a.registry);
  load_plugins(a.config.plugins, plugins, *a.registry, errors);
  const PolicySet policies = make_policies(a.config, *a.registry, errors);
  a.pools = assemble_pools(a.config, *a.registry, errors);
  a.capacity = load_capacity(a.config.capacity, a.config.search, errors);
  if (!a.config.pools.empty() && executor != "model")
    errors.add("/cluster/pools", "a live executor has no pools, events or scaling");
  check_operations(a, policies, errors);
  if (!a.pools.empty()) a.deployment = a.pools.front().deployment;
  else if (a.config.pools.empty())
    a.deployment = executor == "model" ? make_deployment(a.config, policies.resolved, errors)
                                       : make_live_deployment(executor, a.config, policies.resolved, errors);
  check_together(a.config, policies, a.deployment, errors);
  assemble_power(a, executor, errors);
  if (executor != "model" && !policies.batchers.empty() && policies.batchers.front()->returns_whole_batch()) {
    errors.add("/policy/batching", "pads its batches; a live executor does not run padding");
  }
  if (!a.config.workload.is_null()) {
    try {
      const auto source = make_requests(a.config, a.config.seed(), a.workload);
      check_resampling(a, *source, errors);
      check_classes(a.config.classes, a.workload, errors);
    } catch (const ConfigError& e) { errors.add(e); }
  }
  errors.throw_if_any();
  a.resolved_policies = policies.resolved;
  const std::string& predictor = policies.resolved.at("predictor").at("name").as_string();
  if (predictor != "none") a.predictor = predictor;
  a.oracle = policies.predictor->oracle();
  a.random_predictor = policies.predictor->random();
  a.random_router = policies.cluster ? policies.cluster->random()
                                     : a.config.cluster.replicas > 1 && policies.router->random();
  a.staleness = policies.router->staleness();
  if (!a.pools.empty()) {
    a.deployment.facts = combined_facts(a.pools);
    if (a.capacity && a.config.capacity.usd_per_hour > 0) {
      a.deployment.facts.usd_per_hour = a.config.capacity.usd_per_hour * a.capacity->most;
      a.deployment.facts.price_source = "/signals/capacity/usd_per_hour, of the most nodes at once";
    }
    return a;
  }
  const KvConfig kv = kv_config(a.deployment, a.config.engine, *policies.kv);
  a.deployment.facts.blocks = kv.total.value();
  a.deployment.facts.block_tokens = kv.block_tokens.value();
  return a;
}

}  // namespace orrery
