#include <algorithm>

#include "experiments/config_parts.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kMostInstances = 65536;   // of a pool

/// A table of bandwidths and sizes, in bytes.
void read_tier(ObjectReader& node, std::string_view key, std::int64_t& bandwidth, Bytes* size) {
  const Value* v = node.take(key);
  if (v == nullptr) return;
  ObjectReader r(*v, node.errors());
  double rate = 0, bytes = 0;
  if (r.require("bandwidth") != nullptr && r.number("bandwidth", rate, {1, 1e15}, Dimension::kBytesPerSecond))
    bandwidth = static_cast<std::int64_t>(rate);
  if (size != nullptr && r.require("size") != nullptr && r.number("size", bytes, {0, 1e15}, Dimension::kBytes))
    *size = Bytes{static_cast<std::int64_t>(bytes)};
  r.finish();
}

NodeConfig read_node(const Value& v, ErrorList& errors) {
  NodeConfig n;
  ObjectReader r(v, errors);
  std::int64_t gpus = 1;
  r.integer("count", n.count, {1, 65536});
  if (r.require("gpus") != nullptr) r.integer("gpus", gpus, {1, 1024});
  n.server.gpus = static_cast<std::int32_t>(gpus);
  r.string("hardware", n.hardware);
  read_tier(r, "dram", n.server.dram_bytes_per_s, &n.server.dram);
  read_tier(r, "ssd", n.server.ssd_bytes_per_s, nullptr);
  read_tier(r, "network", n.server.network_bytes_per_s, nullptr);
  r.finish();
  return n;
}

void read_lifecycle(ObjectReader& pool, const PoolConfig& p, Lifecycle& out) {
  const Value* v = pool.take("lifecycle");
  if (v == nullptr) return;
  ObjectReader r(*v, pool.errors());
  std::int64_t min = 0;
  int tier = static_cast<int>(Tier::kSsd);
  r.integer("min", min, {0, static_cast<double>(p.replicas)});
  r.duration("keep_alive", out.keep_alive, {0, 9e6});
  r.choice("tier", tier, {{"ssd", static_cast<int>(Tier::kSsd)}, {"remote", static_cast<int>(Tier::kRemote)}});
  r.duration("engine_init", out.engine_init, {0, 9e6});
  r.finish();
  out.min = static_cast<std::int32_t>(min);
  out.tier = static_cast<Tier>(tier);
}

PoolConfig read_pool(const Value& v, const ClusterConfig& cluster, ErrorList& errors) {
  PoolConfig p;
  p.tp = cluster.tp;
  p.pp = cluster.pp;
  ObjectReader r(v, errors);
  if (r.require("name") != nullptr) r.string("name", p.name);
  int role = 0;
  r.choice("role", role, {{"mixed", 0}, {"prefill", 1}, {"decode", 2}});
  p.role = static_cast<Role>(role);
  r.integer("replicas", p.replicas, {1, static_cast<double>(kMostInstances)});
  r.integer("tp", p.tp, {1, 64});
  r.integer("pp", p.pp, {1, 64});
  r.integer("priority", p.priority, {-32768, 32767});
  r.integer("serving", p.serving, {0, static_cast<double>(p.replicas)});
  r.number("network", p.network_bytes_per_s, {1, 1e15}, Dimension::kBytesPerSecond);
  if (const Value* hardware = r.take("hardware"); hardware != nullptr) p.hardware = *hardware;
  if (const Value* policy = r.take("policy"); policy != nullptr) {
    ObjectReader slots(*policy, errors);
    p.policy.batching = read_policy(slots, "batching", "");
    p.policy.order = read_policy(slots, "order", "");
    p.policy.kv = read_policy(slots, "kv", "");
    slots.finish();
  }
  read_lifecycle(r, p, p.lifecycle);
  for (const auto* key : {"model", "ep", "dp"}) r.not_available(key);
  r.finish();
  return p;
}

/// A pool by its name; -1 and an error if there is none.
std::int32_t read_pool_name(ObjectReader& r, std::string_view key, const std::vector<PoolConfig>& pools) {
  std::string name;
  if (r.require(key) == nullptr || !r.string(key, name)) return -1;
  std::vector<std::string> known;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    if (pools[i].name == name) return static_cast<std::int32_t>(i);
    known.push_back(pools[i].name);
  }
  r.error(key, unknown_name("pool", name, known));
  return -1;
}

PowerConfig read_power_domain(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  PowerConfig p;
  ObjectReader r(v, errors);
  p.pointer = r.pointer();
  for (const auto* key : {"domain", "budget"}) r.require(key);
  r.string("domain", p.name);
  p.pools = pool_indices(r, "pools", pools);
  r.number("budget", p.budget_w, {1, 1e12}, Dimension::kWatts);
  r.duration("telemetry", p.telemetry, {1e-3, 3600});
  r.duration("cap_delay", p.cap_delay, {0, 3600});
  r.duration("brake_delay", p.brake_delay, {0, 3600});
  if (const Value* server = r.take("server"); server != nullptr) {
    ObjectReader s(*server, errors);
    s.number("constant", p.constant_w, {0, 1e6}, Dimension::kWatts);
    s.number("share", p.share, {0, 10});
    s.finish();
  }
  p.policy = read_policy(r, "policy", "no-cap");
  r.finish();
  return p;
}

LinkConfig read_link(const Value& v, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  LinkConfig l;
  ObjectReader r(v, errors);
  l.from = read_pool_name(r, "from", pools);
  l.to = read_pool_name(r, "to", pools);
  r.number("bandwidth", l.bytes_per_s, {1, 1e15}, Dimension::kBytesPerSecond);
  r.duration("latency", l.latency, {0, 3600});
  r.finish();
  return l;
}

}  // namespace

void read_pools(ObjectReader& r, const ClusterConfig& cluster, RunConfig& out) {
  const auto list = [&](std::string_view key, auto read) {
    const Value* v = r.take(key);
    if (v == nullptr) return;
    if (!v->is_array()) return r.error(key, "expected an array, got " + brief(*v));
    for (const Value& one : v->items()) read(one);
  };
  list("pools", [&](const Value& v) { out.pools.push_back(read_pool(v, cluster, r.errors())); });
  for (std::size_t i = 0; i < out.pools.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (out.pools[k].name == out.pools[i].name)
        r.errors().add("/cluster/pools/" + std::to_string(i) + "/name",
                       "\"" + out.pools[i].name + "\" is the name of another pool");
  if (!out.pools.empty() && r.has("replicas")) r.error("replicas", "each pool has its own");
  list("nodes", [&](const Value& v) { out.nodes.push_back(read_node(v, r.errors())); });
  if (!out.nodes.empty() && out.pools.empty())
    r.error("nodes", "instances stand on nodes where /cluster/pools names them");
  list("links", [&](const Value& v) { out.links.push_back(read_link(v, out.pools, r.errors())); });
  for (std::size_t i = 0; i < out.links.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (out.links[i].from >= 0 && out.links[i].to >= 0 && out.links[k].from == out.links[i].from &&
          out.links[k].to == out.links[i].to)
        r.errors().add("/cluster/links/" + std::to_string(i),
                       "joins the same pools as /cluster/links/" + std::to_string(k));
  const auto any = [&](Role role) {
    return std::any_of(out.pools.begin(), out.pools.end(), [&](const PoolConfig& p) { return p.role == role; });
  };
  if (any(Role::kPrefill) && !any(Role::kDecode) && !any(Role::kMixed))
    r.error("pools", "no pool decodes: one needs the role decode or mixed");
  if (any(Role::kDecode) && !any(Role::kPrefill) && !any(Role::kMixed))
    r.error("pools", "no pool takes prompts: one needs the role prefill or mixed");
}

/// A server stands in one row only.
void read_power(const Value& v, RunConfig& c, ErrorList& errors) {
  if (!v.is_array()) return errors.add("/power", "expected an array, got " + brief(v));
  for (const Value& one : v.items()) c.power.push_back(read_power_domain(one, c.pools, errors));
  for (std::size_t i = 0; i < c.power.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) {
      const auto &a = c.power[k].pools, &b = c.power[i].pools;
      const auto shared = std::find_first_of(b.begin(), b.end(), a.begin(), a.end());
      if (c.power[k].name == c.power[i].name)
        errors.add(c.power[i].pointer + "/domain", "\"" + c.power[i].name + "\" is the name of another domain");
      if (shared != b.end())
        errors.add(c.power[i].pointer + "/pools", "pool \"" + c.pools[static_cast<std::size_t>(*shared)].name +
                                                      "\" is in domain \"" + c.power[k].name + "\" already");
      else if (a.empty() || b.empty())
        errors.add(c.power[i].pointer + "/pools",
                   "domain \"" + c.power[k].name + "\" and this one have servers in common");
    }
}

/// A pool that a rule may let grow beyond its `replicas` has as many as the rule's `max`; it starts with its own.
void make_room_for_scaling(const Value& scaling, std::vector<PoolConfig>& pools) {
  if (!scaling.is_array()) return;
  for (const Value& rule : scaling.items()) {
    const Value* pool = rule.is_object() ? rule.find("pool") : nullptr;
    const Value* most = rule.is_object() ? rule.find("max") : nullptr;
    if (most == nullptr || most->kind() != Value::Kind::kInt || most->as_int() > kMostInstances) continue;
    for (PoolConfig& p : pools) {
      const bool meant = pool == nullptr ? pools.size() == 1 : pool->is_string() && pool->as_string() == p.name;
      if (!meant || most->as_int() <= p.replicas) continue;
      if (p.serving < 0) p.serving = p.replicas;
      p.replicas = most->as_int();
    }
  }
}

/// Pools of different roles need a policy that places calls; where each can do everything, a router does. A policy
/// without pools works on one, of /cluster, as events and scaling do.
void check_cluster_policy(RunConfig& c, const ObjectReader& r, ErrorList& errors) {
  if (!c.capacity.given.is_null() && !c.policy.cluster.given && c.pools.empty())
    errors.add("/signals/capacity", "needs a /policy/cluster, which says what becomes of calls when a node goes");
  const bool mixed = std::all_of(c.pools.begin(), c.pools.end(),
                                 [](const PoolConfig& p) { return p.role == Role::kMixed; });
  if (!mixed && !c.policy.cluster.given)
    errors.add("/policy/cluster", "missing key: with pools of different roles, a policy says which serves a request");
  const bool operated = r.has("events") || r.has("scaling");
  if (!c.pools.empty() || (!c.policy.cluster.given && !operated)) return;
  PoolConfig main;
  main.name = "main";
  main.replicas = c.cluster.replicas;
  main.tp = c.cluster.tp;
  main.pp = c.cluster.pp;
  c.pools.push_back(std::move(main));
}

std::vector<std::int32_t> pool_indices(ObjectReader& r, std::string_view key, const std::vector<PoolConfig>& pools) {
  std::vector<std::int32_t> out;
  std::vector<std::string> names, known;
  if (!r.strings(key, names)) return out;
  if (names.empty()) r.error(key, "expected at least one pool");
  for (const PoolConfig& p : pools) known.push_back(p.name);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto at = std::find(known.begin(), known.end(), names[i]);
    const std::string pointer = pointer_to(pointer_to(r.pointer(), key), std::to_string(i));
    if (at == known.end()) r.errors().add(pointer, unknown_name("pool", names[i], known));
    else if (std::count(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) > 0)
      r.errors().add(pointer, "\"" + names[i] + "\" is named twice");
    else out.push_back(static_cast<std::int32_t>(at - known.begin()));
  }
  return out;
}

}  // namespace orrery
