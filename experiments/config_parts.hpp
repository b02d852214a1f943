/// Readers of parts of a run config (run_config.hpp) that lie in files of their own: /cluster/pools, nodes and links, and
/// /power, in cluster_config.cpp.
#pragma once

#include <string_view>
#include <vector>

#include "experiments/run_config.hpp"

namespace orrery {

/// The policy of one slot: its name, or an object with it; `fallback` where it is not given.
PolicyChoice read_policy(ObjectReader& slots, std::string_view slot, std::string_view fallback);

/// /cluster/pools, /cluster/nodes, /cluster/links.
void read_pools(ObjectReader& r, const ClusterConfig& cluster, RunConfig& out);
void read_power(const Value& v, RunConfig& c, ErrorList& errors);

void make_room_for_scaling(const Value& scaling, std::vector<PoolConfig>& pools);
void check_cluster_policy(RunConfig& c, const ObjectReader& r, ErrorList& errors);

}  // namespace orrery
