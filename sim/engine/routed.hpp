/// A Router in a cluster: it picks among the instances that take calls, of all pools whose role takes prompts, and
/// nothing moves. It sees them as consecutive stations, by number; with a staleness, as of the last multiple of it.
#pragma once

#include <vector>

#include "sim/cluster.hpp"

namespace orrery {

class ClusterEngine;

class RoutedCluster final : public ClusterPolicy {
 public:
  explicit RoutedCluster(Router& router) : router_(&router) {}
  Placement route(CallId, Cluster&, Rng) override;
  Duration tick() const override { return router_->staleness(); }
  void on_tick(Cluster&) override;
  void on_phase(StationId, Phase, Cluster&) override { known_ = false; }
  bool random() const override { return router_->random(); }

 private:
  void know(const Cluster&);
  Router* router_;
  bool known_ = false;                       ///< are serving_ and prefixes_ those of now?
  std::uint64_t routed_ = 0;
  std::vector<StationId> serving_;
  std::vector<StationLoad> loads_;           ///< of serving_
  std::vector<StationLoad> seen_;            ///< of all, at the last tick
  std::vector<const PrefixView*> prefixes_;
};

}  // namespace orrery
