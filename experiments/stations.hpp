/// The stations of one run: what runs or prices their steps, and the policies that they use. Both classes own what the
/// parts of a simulation point to, and must outlive it.
///
///   Executors executors(assembly, watch, seed);       // one deployment under a router
///   PoolStations pools(assembly, watch, seed, parts);  // several pools: adds their stations to `parts`
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "experiments/assembly.hpp"
#include "sim/engine/scaled_cost.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {

/// What runs or prices the steps of a replication's stations, owned.
class Executors {
 public:
  Executors(const Assembly& a, const Watch& watch, std::uint64_t seed);
  const CostModel* cost() const { return cost_; }   ///< null: steps are measured or replayed
  int stages() const { return cost_ != nullptr ? cost_->stages() : 1; }
  Executor* of(std::size_t station, const KvConfig& kv);

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
  PoolStations(const Assembly& a, const Watch& watch, std::uint64_t seed, SimulationParts& parts);
  const Controllers& controllers() const { return controllers_; }

 private:
  void add(const PoolAssembly& p, const Registry& registry, const Watch& watch, std::uint64_t seed,
           SimulationParts& parts);

  std::deque<PolicySet> policies_;
  std::unique_ptr<ClusterPolicy> policy_;   ///< null: the router
  std::unique_ptr<Router> router_;
  Controllers controllers_;
  std::vector<std::unique_ptr<OperatorCostModel>> drawn_;
  std::vector<std::unique_ptr<ScaledCost>> swift_;
  std::vector<std::unique_ptr<Executor>> executors_;
  ClusterParts cluster_;
};

}  // namespace orrery
