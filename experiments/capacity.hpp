/// /signals/capacity: machines that come and go, and pools whose instances stand on them.
///
///   "signals": {"capacity": {"file": "zone-a.csv", "pool": "main", "grace": "30s", "gpus_per_node": 4,
///                            "usd_per_hour": 1.9}}
///
/// `rows` in place of `file` are the lines themselves; `segment` names one of a file that has several
/// (traces/capacity.hpp). Without `pool`, all pools stand on the nodes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/reader.hpp"
#include "sim/config/search_path.hpp"
#include "sim/engine/cluster_parts.hpp"
#include "traces/capacity.hpp"

namespace orrery {

struct PoolAssembly;
struct PoolConfig;

struct CapacityConfig {
  Value given;                          ///< null: no capacity trace
  std::string file, segment, pool;
  std::vector<std::string> rows;
  Duration grace{30'000'000'000'000};
  std::int64_t gpus_per_node = 0;       ///< 0: those of one instance of the first pool on nodes
  double usd_per_hour = 0;              ///< of a node; 0: instances cost what their devices do
};

CapacityConfig read_capacity_config(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors);

/// The trace that a config names; none where it names none or there are errors.
std::optional<CapacityTrace> load_capacity(const CapacityConfig& config, const SearchPath& search, ErrorList& errors);

/// Puts pools on the nodes of the trace.
void put_on_nodes(const CapacityConfig& config, const CapacityTrace& trace, ClusterParts& parts);

}  // namespace orrery
