/// Round robin over the instances that take calls, a baseline of Llumnix (OSDI'24, section 6.1).
///
///   "policy": {"cluster": "in-turn"}
#pragma once

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

class InTurn final : public ClusterPolicy {
 public:
  using Config = NoConfig;
  explicit InTurn(NoConfig = {}) {}
  Placement route(CallId, Cluster& cluster, Rng) override {
    const auto all = cluster.instances();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Instance& x = all[next_++ % all.size()];
      if (x.takes_calls()) return Placement::at(x.station);
    }
    return Placement::hold();
  }

 private:
  std::size_t next_ = 0;
};

}  // namespace orrery
