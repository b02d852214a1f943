#include "experiments/stations.hpp"

#include "calibrate/live/live_executor.hpp"

namespace orrery {

Executors::Executors(const Assembly& a, const Watch& watch, std::uint64_t seed)
    : device_(a.deployment.device.get()), watch_(&watch) {
  if (watch.draw_cost) drawn_ = a.deployment.hardware->cost->perturbed(seed);
  cost_ = watch.cost != nullptr ? watch.cost : drawn_ != nullptr ? drawn_.get() : a.deployment.cost;
  if (watch.measured != nullptr) watch.measured->assign(static_cast<std::size_t>(a.deployment.facts.replicas), {});
}

Executor* Executors::of(std::size_t station, const KvConfig& kv) {
  if (watch_->replayed != nullptr) return own(std::make_unique<ReplayExecutor>(watch_->replayed->at(station)));
  if (cost_ != nullptr) return own(std::make_unique<ModelExecutor>(*cost_));
  Executor* const live = own(std::make_unique<LiveExecutor>(*device_, kv));
  if (watch_->measured == nullptr) return live;
  return own(std::make_unique<RecordingExecutor>(*live, watch_->measured->at(station)));
}

PoolStations::PoolStations(const Assembly& a, const Watch& watch, std::uint64_t seed, SimulationParts& parts)
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

void PoolStations::add(const PoolAssembly& p, const Registry& registry, const Watch& watch, std::uint64_t seed,
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

}  // namespace orrery
