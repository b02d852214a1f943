#include "experiments/assembly.hpp"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>

#include "calibrate/live/live_executor.hpp"
#include "experiments/charges.hpp"
#include "experiments/live.hpp"
#include "experiments/power.hpp"
#include "experiments/placement.hpp"
#include "experiments/resample.hpp"
#include "experiments/sources.hpp"
#include "experiments/summary.hpp"
#include "experiments/incidents.hpp"
#include "experiments/tenants.hpp"
#include "policies/register.hpp"
#include "sim/engine/scaled_cost.hpp"
#include "sim/metrics/recorder.hpp"
#include "sim/plugin.hpp"

namespace orrery {
namespace {

/// Counts how often a predictor is right.
class CountingPredictor final : public LengthPredictor {
 public:
  CountingPredictor(const LengthPredictor& inner, PredictorFacts& facts) : inner_(&inner), facts_(&facts) {}
  Prediction predict(const Call& call, Tokens32 truth, Rng rng) const override {
    const Prediction p = inner_->predict(call, truth, rng);
    ++facts_->predicted;
    if (truth < p.low || truth > p.high) ++facts_->mispredicted;
    return p;
  }
  bool oracle() const override { return inner_->oracle(); }

 private:
  const LengthPredictor* inner_;
  PredictorFacts* facts_;
};

std::unique_ptr<RequestSource> make_requests(const RunConfig& c, std::uint64_t seed, ResolvedInfo& info) {
  auto source = make_source(c.workload, seed, c.search, info);
  source = limit_source(std::move(source), c.stop);
  if (!c.classes.empty()) source = classify_source(std::move(source), c.classes, info);
  return source;
}

RecorderConfig recorder_config(const Assembly& a, std::uint64_t seed, const KvConfig& kv, int stages,
                               const Watch& watch) {
  const DeploymentFacts& f = a.deployment.facts;
  RecorderConfig r;
  r.stations = static_cast<int>(f.replicas);
  r.stages = stages;
  r.seed = seed;
  r.block_tokens = kv.block_tokens;
  r.blocks = kv.total;
  r.warmup = a.config.warmup;
  r.exact = watch.exact;
  r.classes = std::max<int>(1, static_cast<int>(a.class_names().size()));
  r.slo = a.config.slo;
  r.peak_flops = f.peak_flops;
  r.peak_bytes = f.peak_bytes;
  r.idle_milliwatts = static_cast<std::int64_t>(f.idle_watts * 1e3);
  r.usd_per_hour = f.usd_per_hour;
  if (a.capacity) r.usd_per_node_hour = a.config.capacity.usd_per_hour;
  for (const PoolAssembly& p : a.pools) {
    const DeploymentFacts& one = p.deployment.facts;
    const StationSpec spec{p.kv.block_tokens, p.kv.total, p.deployment.cost->stages(), one.peak_flops, one.peak_bytes,
                           static_cast<std::int64_t>(one.idle_watts * 1e3),
                           one.usd_per_hour / static_cast<double>(one.replicas)};
    r.specs.insert(r.specs.end(), static_cast<std::size_t>(one.replicas), spec);
    r.stages = std::max(r.stages, spec.stages);
  }
  r.rows = watch.rows;
  r.timeline = watch.timeline;
  return r;
}

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

/// What runs or prices the steps of a replication's stations, owned.
class Executors {
 public:
  Executors(const Assembly& a, const Watch& watch, std::uint64_t seed)
      : device_(a.deployment.device.get()), watch_(&watch) {
    if (watch.draw_cost) drawn_ = a.deployment.hardware->cost->perturbed(seed);
    cost_ = watch.cost != nullptr ? watch.cost : drawn_ != nullptr ? drawn_.get() : a.deployment.cost;
    if (watch.measured != nullptr) watch.measured->assign(static_cast<std::size_t>(a.deployment.facts.replicas), {});
  }
  const CostModel* cost() const { return cost_; }   ///< null: steps are measured or replayed
  int stages() const { return cost_ != nullptr ? cost_->stages() : 1; }

  Executor* of(std::size_t station, const KvConfig& kv) {
    if (watch_->replayed != nullptr) return own(std::make_unique<ReplayExecutor>(watch_->replayed->at(station)));
    if (cost_ != nullptr) return own(std::make_unique<ModelExecutor>(*cost_));
    Executor* const live = own(std::make_unique<LiveExecutor>(*device_, kv));
    if (watch_->measured == nullptr) return live;
    return own(std::make_unique<RecordingExecutor>(*live, watch_->measured->at(station)));
  }

 private:
  Executor* own(std::unique_ptr<Executor> e) { return owned_.emplace_back(std::move(e)).get(); }

  const LiveDevice* device_;
  const Watch* watch_;
  std::unique_ptr<OperatorCostModel> drawn_;
  const CostModel* cost_ = nullptr;
  std::vector<std::unique_ptr<Executor>> owned_;
};

/// The stations of all pools, with the policies and executors that they use, owned.
class PoolStations {
 public:
  PoolStations(const Assembly& a, const Watch& watch, std::uint64_t seed, SimulationParts& parts)
      : controllers_(a.config, *a.registry, seed) {
    for (const PoolAssembly& p : a.pools) add(p, *a.registry, watch, seed, parts);
    cluster_ = cluster_parts(a);
    ErrorList errors;
    PolicySet policies = make_policies(a.config, *a.registry, errors);
    errors.throw_if_any();
    policy_ = std::move(policies.cluster);
    router_ = std::move(policies.router);
    cluster_.policy = policy_.get();
    cluster_.router = router_.get();
    if (!policy_ || !policy_->keeps_alive()) controllers_.keep_alive(a.config);
    cluster_.controllers = controllers_.list();
    cluster_.actions = watch.actions;
    parts.cluster = &cluster_;
  }
  const Controllers& controllers() const { return controllers_; }

 private:
  void add(const PoolAssembly& p, const Registry& registry, const Watch& watch, std::uint64_t seed,
           SimulationParts& parts) {
    ErrorList errors;
    PolicySet& policies = policies_.emplace_back(make_policies(p.config, registry, errors));
    errors.throw_if_any();
    const CostModel* cost = p.deployment.cost;
    if (watch.draw_cost) cost = drawn_.emplace_back(p.deployment.hardware->cost->perturbed(seed)).get();
    if (watch.swift == p.role) cost = swift_.emplace_back(std::make_unique<ScaledCost>(*cost, 1)).get();
    const bool fcfs = p.resolved_policies.at("order").at("name").as_string() == "fcfs";
    for (std::size_t i = 0; i < policies.batchers.size(); ++i) {
      StationParts s;
      s.batcher = policies.batchers[i].get();
      s.kv_policy = policies.kv.get();
      s.order = fcfs ? nullptr : policies.orders[i].get();
      s.executor = executors_.emplace_back(std::make_unique<ModelExecutor>(*cost)).get();
      s.cost = cost;
      s.kv = p.kv;
      s.kv_bytes_per_token = p.deployment.kv_bytes_per_token;
      parts.stations.push_back(s);
    }
  }

  std::deque<PolicySet> policies_;
  std::unique_ptr<ClusterPolicy> policy_;   ///< null: the router
  std::unique_ptr<Router> router_;
  Controllers controllers_;
  std::vector<std::unique_ptr<OperatorCostModel>> drawn_;
  std::vector<std::unique_ptr<ScaledCost>> swift_;
  std::vector<std::unique_ptr<Executor>> executors_;
  ClusterParts cluster_;
};

std::vector<std::string> pool_names(const RunConfig& config) {
  std::vector<std::string> names;
  for (const PoolConfig& p : config.pools) names.push_back(p.name);
  return names;
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

Replication replicate(const Assembly& a, std::uint64_t seed, const Watch& watch) {
  ErrorList errors;
  PolicySet policies = make_policies(a.config, *a.registry, errors);
  errors.throw_if_any();
  ResolvedInfo info;
  auto source = make_requests(a.config, seed, info);
  if (watch.resample) source = resample_source(*source, seed);
  const KvConfig kv = kv_config(a.deployment, a.config.engine, *policies.kv);
  Executors executors(a, watch, seed);
  std::optional<TenantResults> tenants;
  if (a.workload.tenants.size() > 1) tenants.emplace(a.workload.tenants, watch.rows);
  RecorderConfig recording = recorder_config(a, seed, kv, executors.stages(), watch);
  if (tenants) recording.rows = &*tenants;
  std::optional<IncidentMeter> incidents;
  if (!a.config.events.empty()) recording.rows = &incidents.emplace(a.config.slo, recording.rows);
  Recorder recorder(std::move(recording));
  QoeMeter qoe(qoe_rules(a.config.classes));
  Replication out;
  out.seed = seed;
  const CountingPredictor predictor(*policies.predictor, out.predictor);

  SimulationParts parts;
  std::optional<PoolStations> pools;
  if (!a.pools.empty()) pools.emplace(a, watch, seed, parts);
  const bool fcfs = a.resolved_policies.at("order").at("name").as_string() == "fcfs";
  for (std::size_t i = 0; i < policies.batchers.size() && !pools; ++i) {
    StationParts s;
    s.batcher = policies.batchers[i].get();
    s.kv_policy = policies.kv.get();
    s.order = fcfs ? nullptr : policies.orders[i].get();
    s.executor = executors.of(parts.stations.size(), kv);
    s.cost = executors.cost();
    s.kv = kv;
    s.kv_bytes_per_token = a.deployment.kv_bytes_per_token;
    parts.stations.push_back(s);
  }
  const PowerRows power(a, watch, parts);
  std::optional<ChargePrices> prices;
  if (charges_requests(a)) prices.emplace(a, power, parts);
  parts.router = policies.router.get();
  if (a.resolved_policies.at("admission").at("name").as_string() != "none") parts.admission = policies.admission.get();
  parts.classes = service_classes(a.config.classes);
  parts.clients = client_rules(a.config.classes);
  if (tenants) parts.observers.push_back(tenants->meter());
  if (qoe.watches()) parts.observers.push_back(&qoe);
  if (watch.observer) parts.observers.push_back(watch.observer);
  if (!a.predictor.empty()) {
    out.predictor.name = a.predictor;
    out.predictor.oracle = a.oracle;
    parts.predictor = &predictor;
  }
  parts.source = source.get();
  parts.recorder = &recorder;
  parts.seed = seed;
  if (a.deployment.facts.max_context > 0) parts.max_context = Tokens{a.deployment.facts.max_context};
  parts.oversize = static_cast<Oversize>(a.config.engine.too_long);
  parts.drain = a.config.stop.drain;
  parts.fast_forward = watch.fast_forward;
  parts.verify_fast_forward = watch.verify_fast_forward;
  parts.interrupt = watch.interrupt;
  parts.progress = watch.progress;
  out.outcome = Simulation(std::move(parts)).run();
  if (tenants) {
    out.tenants = tenants->list(out.outcome.charges ? &*out.outcome.charges : nullptr);
    out.service = tenants->service();
  }
  if (incidents)
    out.incidents = incident_results(a.config.events, pools->controllers().operations()->incidents(),
                                     pool_names(a.config), *incidents);
  return out;
}

Value resolved_config(const Assembly& a) {
  const RunConfig& c = a.config;
  const auto section = [](auto described) {
    DumpDescriber dump;
    describe(dump, described);
    return dump.values;
  };
  Value v = Value::object();
  Value& found = v["// found"];
  found = Value::object();
  found["version"] = ORRERY_VERSION;
  found["search"] = Value::array();
  for (const std::string& folder : c.search.folders) {
    found["search"].push_back(std::filesystem::absolute(folder).lexically_normal().string());
  }
  found["inputs"] = Value::array();
  for (const InputFact& i : a.deployment.inputs) found["inputs"].push_back(i.role + " " + i.name + ": " + i.place);
  for (const auto& i : a.workload.inputs) found["inputs"].push_back(i.format + " " + i.path);
  v["model"] = a.deployment.resolved_model;
  v["hardware"] = a.deployment.resolved_hardware;
  v["cluster"] = section(c.cluster);
  if (!a.pools.empty()) {
    v["cluster"].erase("replicas");
    v["cluster"]["pools"] = resolved_pools(a.pools);
    const Value* given = c.document.value.find("cluster");
    for (const auto* key : {"nodes", "links"})
      if (given != nullptr && given->find(key) != nullptr) v["cluster"][key] = given->at(key);
  }
  if (!c.capacity.given.is_null()) v["signals"]["capacity"] = c.capacity.given;
  v["engine"] = section(c.engine);
  if (c.engine.preset.empty()) v["engine"].erase("preset");
  if (!c.engine.chunked_prefill_given) v["engine"].erase("chunked_prefill");
  v["engine"]["prefix_cache"]["kind"] = c.engine.prefix_cache;
  v["engine"]["kv_format"] = section(c.engine.variants.format);
  v["engine"]["kv_layout"] = section(c.engine.variants.layout);
  v["engine"]["kernels"] = section(c.engine.variants.kernels);
  v["policy"] = a.resolved_policies;
  v["workload"] = a.workload.workload;
  for (const std::string& name : c.plugins) v["plugins"].push_back(name);
  for (const auto* key : {"slo", "classes", "events", "scaling", "validate"}) {
    if (const Value* given = c.document.value.find(key); given != nullptr) v[key] = *given;
  }
  for (std::size_t i = 0; i < c.power.size(); ++i) {
    v["power"].push_back(c.document.value.at("power").items()[i]);
    v["power"][i]["policy"] = a.resolved_power[i].at("power");
  }
  if (const Value* given = c.document.value.find("signals"); given != nullptr) {
    for (const auto* key : {"carbon", "price", "power", "bandwidth"})
      if (const Value* one = given->find(key); one != nullptr) v["signals"][key] = *one;
  }
  v["stop"] = section(c.stop);
  if (c.warmup) v["warmup"] = format_duration(*c.warmup);
  else v["warmup"] = "auto";
  v["replication"] = section(c.replication);
  using Resample = ReplicationConfig::Resample;
  if (c.replication.resample == Resample::kAuto) v["replication"]["resample"] = "auto";
  else v["replication"]["resample"] = c.replication.resample == Resample::kOn;
  const Value globals = section(c.global);
  for (const Value::Member& m : globals.members()) v[m.first] = m.second;
  return v;
}

}  // namespace orrery
