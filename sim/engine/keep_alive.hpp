/// Keep-alive of a pool whose policy leaves that open: an instance without calls is drained after a time, the last by
/// number first, unless too few would be left; when calls wait for an instance and the pool has none that serves or
/// starts, its first one that is off starts.
///
///   KeepAlive keeper({.pool = p, .least = 1, .keep_alive = 60s, .start_delay = 30s});
///   parts.controllers = {&keeper};
///
/// More than one instance for a load is a scaling rule's business (scaler.hpp). O(instances of the pool) a look.
#pragma once

#include <functional>
#include <queue>
#include <vector>

#include "sim/engine/cluster_parts.hpp"

namespace orrery {

struct KeepAliveParts {
  PoolId pool;
  std::int32_t least = 0;           ///< instances that stay
  Duration keep_alive{};            ///< of an instance without calls
  Duration start_delay{};           ///< until a started instance serves
};

class KeepAlive final : public ClusterController {
 public:
  explicit KeepAlive(KeepAliveParts parts) : parts_(parts) { looks_.push(Time{} + parts.keep_alive); }
  std::string_view name() const override { return "keep-alive"; }
  Time next() const override { return looks_.empty() ? kNever : looks_.top(); }
  void run(ClusterEngine&) override;
  void on_phase(StationId, Phase before, ClusterEngine&) override;
  void on_idle(StationId, ClusterEngine&) override;
  void on_wait(ClusterEngine&) override;

 private:
  void drain_idle(ClusterEngine& cluster);
  void start_one(ClusterEngine& cluster);

  KeepAliveParts parts_;
  std::vector<Time> idle_;          ///< by station: since then, if it has no calls
  std::priority_queue<Time, std::vector<Time>, std::greater<>> looks_;
};

}  // namespace orrery
