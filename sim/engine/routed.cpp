#include "sim/engine/routed.hpp"

#include "sim/engine/cluster.hpp"

namespace orrery {

void RoutedCluster::know(const Cluster& cluster) {
  if (known_) return;
  known_ = true;
  serving_.clear();
  prefixes_.clear();
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls() || x.role == Role::kDecode) continue;
    serving_.push_back(x.station);
    prefixes_.push_back(static_cast<const ClusterEngine&>(cluster).prefix(x.station));
  }
  loads_.resize(serving_.size());
}

/// O(instances): counters of those that serve are laid side by side for the router.
Placement RoutedCluster::route(CallId id, Cluster& cluster, Rng rng) {
  know(cluster);
  if (serving_.empty()) return Placement::hold();
  for (std::size_t i = 0; i < serving_.size(); ++i) {
    const auto s = static_cast<std::size_t>(serving_[i].index);
    loads_[i] = s < seen_.size() ? seen_[s] : *cluster.instances()[s].load;
  }
  const ClusterView view{cluster.now(), loads_, prefixes_, routed_++};
  const StationId to = router_->route(cluster.call(id), id, view, rng);
  if (!to.valid() || static_cast<std::size_t>(to.index) >= serving_.size()) return Placement::reject();
  return Placement::at(serving_[static_cast<std::size_t>(to.index)]);
}

void RoutedCluster::on_tick(Cluster& cluster) {
  seen_.clear();
  for (const Instance& x : cluster.instances()) seen_.push_back(*x.load);
}

}  // namespace orrery
