#include "experiments/capacity.hpp"

#include <algorithm>

#include "experiments/run_config.hpp"
#include "sim/config/names.hpp"

namespace orrery {

CapacityConfig read_capacity_config(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  CapacityConfig c;
  c.given = v;
  ObjectReader r(v, errors);
  r.string("file", c.file);
  r.strings("rows", c.rows);
  r.string("segment", c.segment);
  if (r.string("pool", c.pool)) {
    std::vector<std::string> known;
    for (const PoolConfig& p : pools) known.push_back(p.name);
    if (std::find(known.begin(), known.end(), c.pool) == known.end())
      r.error("pool", unknown_name("pool", c.pool, known));
  }
  r.duration("grace", c.grace, {0, 1e6});
  r.integer("gpus_per_node", c.gpus_per_node, {1, 1024});
  r.number("usd_per_hour", c.usd_per_hour, {0, 1e6});
  r.finish();
  if (c.file.empty() == c.rows.empty()) errors.add(r.pointer(), "needs either \"file\" or \"rows\"");
  return c;
}

std::optional<CapacityTrace> load_capacity(const CapacityConfig& config, const SearchPath& search, ErrorList& errors) {
  if (config.given.is_null() || config.file.empty() == config.rows.empty()) return std::nullopt;
  try {
    if (config.file.empty()) {
      std::string text;
      for (const std::string& row : config.rows) text += row + "\n";
      return capacity_from_text("/signals/capacity/rows", text, {config.grace, config.segment});
    }
    const std::optional<std::string> path = search.find(config.file);
    if (path) return read_capacity(*path, {config.grace, config.segment});
    errors.add("/signals/capacity/file", "\"" + config.file + "\" was not found in " + search.describe());
  } catch (const ConfigError& e) { errors.add(e); }
  return std::nullopt;
}

void put_on_nodes(const CapacityConfig& config, const CapacityTrace& trace, ClusterParts& parts) {
  std::int32_t devices = static_cast<std::int32_t>(config.gpus_per_node);
  for (PoolParts& p : parts.pools) {
    p.on_nodes = config.pool.empty() || p.name == config.pool;
    if (p.on_nodes && devices == 0) devices = p.tp * p.pp;
  }
  for (const std::string& name : trace.nodes) parts.nodes.push_back({name, devices});
  for (const CapacityEvent& e : trace.events) {
    const NodeChange what = e.op == CapacityEvent::kAdd      ? NodeChange::kAdded
                            : e.op == CapacityEvent::kNotice ? NodeChange::kAnnounced
                                                             : NodeChange::kGone;
    parts.capacity.push_back({e.at, what, e.node, e.deadline});
  }
}

}  // namespace orrery
