#include <algorithm>
#include <optional>

#include "experiments/assembly.hpp"
#include "experiments/charges.hpp"
#include "experiments/incidents.hpp"
#include "experiments/models.hpp"
#include "experiments/power.hpp"
#include "experiments/resample.hpp"
#include "experiments/sources.hpp"
#include "experiments/stations.hpp"
#include "experiments/tenants.hpp"
#include "sim/metrics/recorder.hpp"

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

RecorderConfig recorder_config(const Assembly& a, std::uint64_t seed, const KvConfig& kv, int stages,
                               const SimulationParts& parts, const Watch& watch) {
  const DeploymentFacts& f = a.deployment.facts;
  RecorderConfig r;
  r.stations = static_cast<int>(f.replicas);
  r.stages = stages;
  r.seed = seed;
  r.block_tokens = kv.block_tokens;
  r.blocks = kv.total;
  r.warmup = a.config.warmup;
  if (!a.workload.steady) r.steady_until = Time{};
  for (const Operation& o : a.config.events)
    if (o.every == Duration{}) r.steady_until = std::min(r.steady_until, o.at);
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
                           nullptr, static_cast<std::int64_t>(one.idle_watts * 1e3),
                           one.usd_per_hour / static_cast<double>(one.replicas)};
    r.specs.insert(r.specs.end(), static_cast<std::size_t>(one.replicas), spec);
    r.stages = std::max(r.stages, spec.stages);
  }
  for (std::size_t i = 0; i < r.specs.size(); ++i) r.specs[i].cost = parts.stations.at(i).cost;
  if (r.specs.empty()) r.cost = parts.stations.front().cost;
  r.rows = watch.rows;
  r.timeline = watch.timeline;
  return r;
}

std::vector<std::string> pool_names(const RunConfig& config) {
  std::vector<std::string> names;
  for (const PoolConfig& p : config.pools) names.push_back(p.name);
  return names;
}

/// The stations of one deployment under a router.
void add_stations(const Assembly& a, const PolicySet& policies, const KvConfig& kv, Executors& executors,
                  SimulationParts& parts) {
  const bool fcfs = a.resolved_policies.at("order").at("name").as_string() == "fcfs";
  for (std::size_t i = 0; i < policies.batchers.size(); ++i) {
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
}

/// Of the first instance that computes prompts; null: measured.
const CostModel* cost_of_prompts(const Assembly& a, const SimulationParts& parts) {
  std::size_t station = 0;
  for (const PoolAssembly& p : a.pools) {
    if (p.role != Role::kDecode) break;
    station += static_cast<std::size_t>(p.config.cluster.replicas);
  }
  return station < parts.stations.size() ? parts.stations[station].cost : nullptr;
}

/// Time of a prompt of `tokens` in a step of its own; negative: nobody can say.
double alone_s(const CostModel* cost, double tokens) {
  const auto q = static_cast<std::int64_t>(tokens + 0.5);
  if (cost == nullptr || q <= 0) return -1;
  const ChunkShape chunk{Tokens{}, Tokens{q}};
  StepShape x;
  x.prefill = Tokens{q};
  x.prefill_pairs = q * q / 2;
  x.sequences = x.outputs = 1;
  x.chunks = {&chunk, 1};
  Duration sum{};
  for (int stage = 0; stage < cost->stages(); ++stage)
    sum += cost->price({&x, 1}, stage).first + (stage > 0 ? cost->hop(Tokens{q}) : Duration{});
  return to_seconds(sum);
}

}  // namespace

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
  SimulationParts parts;
  std::optional<PoolStations> pools;
  if (!a.pools.empty()) pools.emplace(a, watch, seed, parts);
  else add_stations(a, policies, kv, executors, parts);
  RecorderConfig recording = recorder_config(a, seed, kv, executors.stages(), parts, watch);
  if (tenants) recording.rows = &*tenants;
  std::optional<ModelResults> models;
  const std::size_t named = a.workload.models.size() - 1;
  if (named > 1 && named <= kMostModels) recording.rows = &models.emplace(a.workload.models, recording.rows);
  std::optional<IncidentMeter> incidents;
  if (!a.config.events.empty()) recording.rows = &incidents.emplace(a.config.slo, recording.rows);
  Recorder recorder(std::move(recording));
  QoeMeter qoe(qoe_rules(a.config.classes));
  Replication out;
  out.seed = seed;
  const CountingPredictor predictor(*policies.predictor, out.predictor);

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
  const CostModel* cost = cost_of_prompts(a, parts);
  out.outcome = Simulation(std::move(parts)).run();
  out.alone_s.push_back(alone_s(cost, out.outcome.summary.latencies.slow.prompt_tokens));
  for (const Latencies& l : out.outcome.summary.by_class) out.alone_s.push_back(alone_s(cost, l.slow.prompt_tokens));
  if (tenants) {
    out.tenants = tenants->list(out.outcome.charges ? &*out.outcome.charges : nullptr);
    out.service = tenants->service();
  }
  if (models) out.by_model = models->table();
  if (incidents)
    out.incidents = incident_results(a.config.events, pools->controllers().operations()->incidents(),
                                     pool_names(a.config), *incidents);
  return out;
}

}  // namespace orrery
