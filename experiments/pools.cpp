#include "experiments/pools.hpp"

#include <algorithm>

#include "experiments/assembly.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kDevicesPerNode = 8;   ///< as DGX and HGX machines have

std::string_view role_name(Role r) {
  return r == Role::kMixed ? "mixed" : r == Role::kPrefill ? "prefill" : "decode";
}

/// The whole config as it counts in one pool.
RunConfig config_of(const RunConfig& config, const PoolConfig& pool) {
  RunConfig c = config;
  c.policy.cluster.given = false;   // of all pools together
  c.cluster.replicas = pool.replicas;
  c.cluster.tp = pool.tp;
  c.cluster.pp = pool.pp;
  if (!pool.hardware.is_null()) c.hardware = pool.hardware;
  for (const auto& [from, to] : {std::pair{&pool.policy.batching, &c.policy.batching},
                                 {&pool.policy.order, &c.policy.order}, {&pool.policy.kv, &c.policy.kv}})
    if (from->given) *to = *from;
  return c;
}

/// Where two pools are served, calls may go from one to the other: KV must be paged, of one format.
void check_pool(const PoolAssembly& p, const PolicySet& policies, std::size_t index, ErrorList& errors) {
  const std::string pointer = "/cluster/pools/" + std::to_string(index);
  if (p.kv.contiguous) errors.add(pointer + "/policy/kv", "KV that goes from one instance to another must be paged");
  if (!policies.batchers.empty() && policies.batchers.front()->returns_whole_batch())
    errors.add(pointer + "/policy/batching", "answers batch by batch; a pool needs one that answers call by call");
}

/// The batching policy's limit of calls that hold KV; 0 if it has none of that name.
int max_running(const PoolAssembly& p) {
  const Value* limit = p.resolved_policies.at("batching").find("max_running");
  return limit == nullptr ? 0 : static_cast<int>(limit->as_int());
}

/// Errors of a pool name its place where it is the pool that says so; what it shares with the rest keeps its own.
void tell(const ErrorList& found, const PoolConfig& pool, std::size_t index, ErrorList& errors) {
  const auto own = [&](const std::string& line) {
    const auto about = [&](std::string_view key) { return line.starts_with(key); };
    return (about("/policy/batching") && pool.policy.batching.given) ||
           (about("/policy/order") && pool.policy.order.given) || (about("/policy/kv") && pool.policy.kv.given) ||
           (about("/hardware") && !pool.hardware.is_null());
  };
  for (const std::string& line : found.lines())
    errors.add(ConfigError(own(line) ? "/cluster/pools/" + std::to_string(index) + line : line));
}

/// KV goes from where prompts are computed to where it decodes: over a link, or over a network of known speed.
void check_network(const RunConfig& config, const std::vector<PoolAssembly>& pools, ErrorList& errors) {
  for (std::size_t from = 0; from < pools.size(); ++from) {
    for (std::size_t to = 0; to < pools.size(); ++to) {
      if (pools[from].role != Role::kPrefill || pools[to].role != Role::kDecode) continue;
      const bool linked = std::any_of(config.links.begin(), config.links.end(), [&](const LinkConfig& l) {
        return l.from == static_cast<std::int32_t>(from) && l.to == static_cast<std::int32_t>(to);
      });
      if (linked || pools[from].bytes_per_s > 0 || pools[to].bytes_per_s > 0) continue;
      errors.add("/cluster/links", "KV goes from \"" + pools[from].name + "\" to \"" + pools[to].name +
                                       "\" and no network is known: name a link, or /cluster/pools/" +
                                       std::to_string(from) + "/network");
    }
  }
}

/// Lays pools over nodes: each instance on the first node from the last one's on that is of its hardware and has
/// devices left for it.
void lay_out(const std::vector<NodeConfig>& kinds, std::vector<PoolAssembly>& pools, ErrorList& errors) {
  struct Node { std::int64_t left; const std::string* hardware; };
  std::vector<Node> nodes;
  for (const NodeConfig& n : kinds)
    nodes.insert(nodes.end(), static_cast<std::size_t>(n.count), {n.server.gpus, &n.hardware});
  for (std::size_t p = 0; p < pools.size(); ++p) {
    const ClusterConfig& cluster = pools[p].config.cluster;
    const std::string& hardware = pools[p].deployment.facts.hardware;
    const auto suits = [&](const Node& n) {
      return n.left >= cluster.tp * cluster.pp && (n.hardware->empty() || *n.hardware == hardware);
    };
    auto at = nodes.begin();
    for (std::int64_t i = 0; i < cluster.replicas; ++i) {
      at = std::find_if(at, nodes.end(), suits);
      if (at == nodes.end()) {
        errors.add("/cluster/pools/" + std::to_string(p) + "/replicas",
                   "/cluster/nodes has room for " + std::to_string(i) + " of these instances, got " +
                       std::to_string(cluster.replicas));
        break;
      }
      at->left -= cluster.tp * cluster.pp;
      pools[p].nodes.push_back(static_cast<std::int32_t>(at - nodes.begin()));
    }
  }
}

}  // namespace

std::vector<PoolAssembly> assemble_pools(const RunConfig& config, const Registry& registry, ErrorList& errors) {
  std::vector<PoolAssembly> pools;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const PoolConfig& pool = config.pools[i];
    PoolAssembly p;
    p.config = config_of(config, pool);
    p.name = pool.name;
    p.role = pool.role;
    p.serving = pool.serving;
    p.lifecycle = pool.lifecycle;
    p.priority = pool.priority;
    ErrorList found;
    const PolicySet policies = make_policies(p.config, registry, found);
    p.resolved_policies = policies.resolved;
    p.deployment = make_deployment(p.config, policies.resolved, found);
    tell(found, pool, i, errors);
    if (!found.empty()) continue;
    p.kv = kv_config(p.deployment, p.config.engine, *policies.kv);
    p.deployment.facts.blocks = p.kv.total.value();
    p.deployment.facts.block_tokens = p.kv.block_tokens.value();
    const double sheet =
        p.deployment.hardware->hardware.specs.network_bytes_per_s * static_cast<double>(pool.tp * pool.pp);
    p.bytes_per_s = static_cast<std::int64_t>(pool.network_bytes_per_s > 0 ? pool.network_bytes_per_s : sheet);
    check_pool(p, policies, i, errors);
    pools.push_back(std::move(p));
  }
  if (pools.size() == config.pools.size()) check_network(config, pools, errors);
  if (!config.nodes.empty()) lay_out(config.nodes, pools, errors);
  return pools;
}

namespace {

/// Where the instances of a pool stand: as /cluster/nodes says, else one after the other on machines from `next` on.
std::vector<std::int32_t> stands(const PoolAssembly& p, std::int32_t& next) {
  if (!p.nodes.empty()) return p.nodes;
  const auto per_node = std::max<std::int64_t>(1, kDevicesPerNode / (p.config.cluster.tp * p.config.cluster.pp));
  std::vector<std::int32_t> nodes;
  for (std::int64_t i = 0; i < p.config.cluster.replicas; ++i)
    nodes.push_back(next + static_cast<std::int32_t>(i / per_node));
  next = nodes.back() + 1;
  return nodes;
}

}  // namespace

ClusterParts cluster_parts(const Assembly& a) {
  const RunConfig& config = a.config;
  ClusterParts parts;
  std::int32_t nodes = 0;
  for (const PoolAssembly& p : a.pools) {
    const ClusterConfig& cluster = p.config.cluster;
    parts.pools.push_back({.name = p.name, .count = static_cast<std::int32_t>(cluster.replicas), .role = p.role,
                           .priority = static_cast<std::int32_t>(p.priority),
                           .kv_bytes_per_token = p.deployment.kv_bytes_per_token,
                           .layers = static_cast<int>(p.deployment.hardware->model.layers),
                           .bytes_per_s = p.bytes_per_s, .node_of = stands(p, nodes),
                           .serving = static_cast<std::int32_t>(p.serving), .tp = static_cast<int>(cluster.tp),
                           .pp = static_cast<int>(cluster.pp),
                           .max_running = max_running(p),
                           .weight_bytes = Bytes{p.deployment.hardware->model.weight_bytes()},
                           .start_delay = p.lifecycle.engine_init, .cost = p.deployment.cost,
                           .lifecycle = p.lifecycle});
  }
  for (const NodeConfig& n : config.nodes)
    parts.servers.insert(parts.servers.end(), static_cast<std::size_t>(n.count), n.server);
  for (const LinkConfig& l : config.links)
    parts.links.push_back({PoolId{l.from}, PoolId{l.to}, static_cast<std::int64_t>(l.bytes_per_s), l.latency});
  const auto& signals = config.signals.bandwidth;
  for (std::size_t i = 0; i < signals.size(); ++i) {
    const StepSignal* values = i < a.bandwidth.size() ? &a.bandwidth[i] : nullptr;
    if (signals[i].pools.empty()) parts.bandwidths.push_back({PoolId{signals[i].from}, PoolId{signals[i].to}, values});
    for (const std::int32_t pool : signals[i].pools) parts.bandwidths.push_back({PoolId{pool}, PoolId{}, values});
  }
  if (a.capacity) put_on_nodes(config.capacity, *a.capacity, parts);
  return parts;
}

DeploymentFacts combined_facts(const std::vector<PoolAssembly>& pools) {
  DeploymentFacts f = pools.front().deployment.facts;
  f.replicas = f.all_gpus = f.all_blocks = 0;
  f.usd_per_hour = 0;
  f.validated = false;                               // pools beside one another never were
  f.real_engine_check = DeploymentFacts{}.real_engine_check;
  for (const PoolAssembly& p : pools) {
    const DeploymentFacts& one = p.deployment.facts;
    if (one.batch_limit != f.batch_limit) f.batch_limit = 0;   // no limit of all
    f.replicas += one.replicas;
    f.all_gpus += one.gpus();
    f.all_blocks += one.blocks * one.replicas;
    f.usd_per_hour += one.usd_per_hour;
    for (const std::string& line : one.provenance)   // pools have much in common
      if (std::find(f.provenance.begin(), f.provenance.end(), line) == f.provenance.end())
        f.provenance.push_back(line);
  }
  return f;
}

Value pools_summary(const std::vector<PoolAssembly>& pools) {
  Value out = Value::array();
  for (const PoolAssembly& p : pools) {
    const DeploymentFacts& f = p.deployment.facts;
    Value v = Value::object();
    v["name"] = p.name;
    v["role"] = role_name(p.role);
    v["hardware"] = f.hardware;
    v["cost_model"] = f.cost;
    v["replicas"] = f.replicas;
    v["tp"] = f.tp;
    v["pp"] = f.pp;
    v["gpus"] = f.gpus();
    v["blocks_per_replica"] = f.blocks;
    v["network_bytes_per_s"] = p.bytes_per_s;
    v["batching"] = p.resolved_policies.at("batching").at("name").as_string();
    v["usd_per_hour"] = f.usd_per_hour;
    out.push_back(std::move(v));
  }
  return out;
}

namespace {

Value resolved_lifecycle(const Lifecycle& l) {
  Value v = Value::object();
  v["min"] = l.min;
  if (l.keep_alive >= Duration{}) v["keep_alive"] = format_duration(l.keep_alive);
  v["tier"] = name(l.tier);
  v["engine_init"] = format_duration(l.engine_init);
  return v;
}

}  // namespace

Value resolved_pools(const std::vector<PoolAssembly>& pools) {
  Value out = Value::array();
  for (const PoolAssembly& p : pools) {
    Value v = Value::object();
    v["name"] = p.name;
    v["role"] = role_name(p.role);
    v["replicas"] = p.config.cluster.replicas;
    if (p.priority != 0) v["priority"] = p.priority;
    if (p.serving >= 0) v["serving"] = p.serving;
    v["lifecycle"] = resolved_lifecycle(p.lifecycle);
    v["hardware"] = p.deployment.resolved_hardware;
    v["tp"] = p.config.cluster.tp;
    v["pp"] = p.config.cluster.pp;
    v["network"] = p.bytes_per_s;
    for (const auto* slot : {"batching", "order", "kv"}) v["policy"][slot] = p.resolved_policies.at(slot);
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace orrery
