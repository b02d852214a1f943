#include "experiments/run_config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "experiments/operations.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

constexpr double kMaxCount = 1e15;
constexpr std::int64_t kMostInstances = 65536;   // of a pool

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// 1 stands for "not used"; more is not available.
void only_one(ObjectReader& reader, std::string_view key) {
  std::int64_t n = 1;
  if (reader.integer(key, n, {1, 65536}) && n != 1) reader.error(key, "not available in this version (only 1 is)");
}

PolicyChoice read_policy(ObjectReader& slots, std::string_view slot, std::string_view fallback) {
  PolicyChoice choice;
  choice.name = fallback;
  const Value* v = slots.take(slot);
  const std::string pointer = pointer_to(slots.pointer(), slot);
  choice.parameters.anchor(pointer);
  if (v == nullptr) return choice;
  choice.given = true;
  if (v->is_string()) {
    choice.name = v->as_string();
  } else if (v->is_object()) {
    choice.parameters = *v;
    choice.parameters.erase("name");
    const Value* name = v->find("name");
    if (name == nullptr) slots.errors().add(pointer_to(pointer, "name"), "missing key");
    else if (!name->is_string())
      slots.errors().add(pointer_to(pointer, "name"), "expected a string, got " + brief(*name));
    else choice.name = name->as_string();
  } else {
    slots.error(slot, "expected the name of a policy or {\"name\": ...}, got " + brief(*v));
  }
  return choice;
}

void refuse_reserved(ObjectReader& r) {
  for (const std::string& key : reserved_keys(r.pointer())) r.not_available(key);
}

template <class Described>
void read_described(ObjectReader& r, Described& out) {
  JsonDescriber d(r);
  describe(d, out);
}

template <class Described>
void read_section(const Value& v, Described& out, ErrorList& errors) {
  ObjectReader r(v, errors);
  read_described(r, out);
  refuse_reserved(r);
  r.finish();
}

void read_all_signals(const Value& v, RunConfig& config, ErrorList& errors) {
  ObjectReader r(v, errors);
  if (const Value* capacity = r.take("capacity"); capacity != nullptr)
    config.capacity = read_capacity_config(*capacity, config.pools, errors);
  config.signals = read_signals(r, config.pools, config.links);
  r.finish();
}

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

void read_cluster(const Value& v, RunConfig& config, ErrorList& errors) {
  ClusterConfig& out = config.cluster;
  ObjectReader r(v, errors);
  read_described(r, out);
  read_pools(r, out, config);
  only_one(r, "ep");
  only_one(r, "dp");
  refuse_reserved(r);
  r.finish();
}

void read_prefix_cache(ObjectReader& engine, EngineConfig& out) {
  const Value* v = engine.take("prefix_cache");
  if (v == nullptr) return;
  const std::string pointer = pointer_to(engine.pointer(), "prefix_cache");
  if (!v->is_string() && !v->is_object())
    return engine.error("prefix_cache", "expected \"none\", \"hash\", \"radix\" or an object, got " + brief(*v));
  Value object = *v;
  if (v->is_string()) {
    object = Value::object();
    object["kind"] = *v;
  }
  ObjectReader r(object, engine.errors(), pointer);
  int kind = 0;
  constexpr std::string_view names[] = {"none", "hash", "radix"};
  if (r.choice("kind", kind, {{names[0], 0}, {names[1], 1}, {names[2], 2}})) out.prefix_cache = names[kind];
  r.finish();
}

/// One tier, of host memory: `[{"name": "dram", "size": "128GB", "bandwidth": "25GB/s"}]`.
void read_kv_tiers(ObjectReader& engine, EngineConfig& out) {
  const Value* v = engine.take("kv_tiers");
  if (v == nullptr) return;
  if (!v->is_array())
    return engine.error("kv_tiers", "expected an array such as [{\"name\": \"dram\", \"size\": \"128GB\", "
                                    "\"bandwidth\": \"25GB/s\"}], got " + brief(*v));
  const std::string pointer = pointer_to(engine.pointer(), "kv_tiers");
  for (std::size_t i = 1; i < v->items().size(); ++i)
    engine.errors().add(pointer_to(pointer, std::to_string(i)),
                        "a second tier is not available in this version; the first is host memory");
  if (v->items().empty()) return;
  ObjectReader r(v->items()[0], engine.errors());
  int name = 0;
  if (r.require("name") != nullptr && r.choice("name", name, {{"dram", 0}})) out.tier.name = "dram";
  if (r.require("size") != nullptr) r.number("size", out.tier.size, {1, 1e15}, Dimension::kBytes);
  if (r.require("bandwidth") != nullptr)
    r.number("bandwidth", out.tier.bytes_per_s, {1, 1e15}, Dimension::kBytesPerSecond);
  r.finish();
}

/// A described struct by its `name`, or as an object.
template <class Described>
void read_named(ObjectReader& engine, std::string_view key, Described& out) {
  const Value* v = engine.take(key);
  if (v == nullptr) return;
  Value object = *v;
  if (v->is_string()) {
    object = Value::object();
    object["name"] = *v;
  }
  ObjectReader r(object, engine.errors(), pointer_to(engine.pointer(), key));
  read_described(r, out);
  r.finish();
}

void read_engine(const Value& v, EngineConfig& out, ErrorList& errors) {
  ObjectReader r(v, errors);
  read_described(r, out);
  out.chunked_prefill_given = r.has("chunked_prefill");
  read_prefix_cache(r, out);
  read_kv_tiers(r, out);
  read_named(r, "kv_format", out.variants.format);
  read_named(r, "kv_layout", out.variants.layout);
  read_named(r, "kernels", out.variants.kernels);
  refuse_reserved(r);
  r.finish();
}

void read_policies(const Value& v, PolicyChoices& out, ErrorList& errors) {
  ObjectReader r(v, errors, "/policy");
  out.batching = read_policy(r, "batching", "vllm-v1");
  out.order = read_policy(r, "order", "fcfs");
  out.predictor = read_policy(r, "predictor", "none");
  out.kv = read_policy(r, "kv", "paged");
  out.router = read_policy(r, "router", "least-loaded");
  out.admission = read_policy(r, "admission", "none");
  out.cluster = read_policy(r, "cluster", "");
  refuse_reserved(r);
  r.finish();
}

void read_replication(const Value& v, ReplicationConfig& out, ErrorList& errors) {
  ObjectReader r(v, errors);
  read_described(r, out);
  if (const Value* resample = r.take("resample"); resample != nullptr) {
    using Resample = ReplicationConfig::Resample;
    if (resample->kind() == Value::Kind::kBool) out.resample = resample->as_bool() ? Resample::kOn : Resample::kOff;
    else if (resample->is_string() && resample->as_string() == "auto") out.resample = Resample::kAuto;
    else r.error("resample", "expected true, false or \"auto\", got " + brief(*resample));
  }
  r.finish();
}

void read_warmup(const Value& v, std::optional<Duration>& out, ErrorList& errors) {
  if (v.is_string() && v.as_string() == "auto") return;
  try {
    check_unit(v, Dimension::kSeconds);
    const Duration d = parse_duration(v);
    if (d < Duration{}) throw ConfigError("expected \"auto\" or a duration >= 0 s, got " + brief(v));
    out = d;
  } catch (const ConfigError& e) { errors.add("/warmup", e.what()); }
}

/// The config.json of a result says where its names were looked up, so that it runs again from its folder.
void add_former_folders(const Value& root, SearchPath& search) {
  const Value* found = root.find("// found");
  const Value* folders = found == nullptr ? nullptr : found->find("search");
  if (folders == nullptr || !folders->is_array()) return;
  for (const Value& f : folders->items()) {
    if (f.is_string()) search.folders.push_back(f.as_string());
  }
}

constexpr std::pair<std::string_view, std::string_view> kReserved[] = {
    {"", "study"},
    {"", "plan"},
};

}  // namespace

std::vector<std::string> reserved_keys(std::string_view object_pointer) {
  std::vector<std::string> keys;
  for (const auto& [object, key] : kReserved)
    if (object == object_pointer) keys.emplace_back(key);
  return keys;
}

void describe(Describer& d, ClusterConfig& c) {
  d.field("replicas", c.replicas, {1, 65536}, "Copies of the model, each a station");
  d.field("tp", c.tp, {1, 64}, "Devices that share every layer of a replica (tensor parallel)");
  d.field("pp", c.pp, {1, 64}, "Pipeline stages of a replica");
}

void describe(Describer& d, EngineConfig& e) {
  d.field("preset", e.preset, "An engine and version, by name; sets what the config leaves open");
  d.field("max_num_seqs", e.max_num_seqs, {0, 65536}, "Calls that may hold KV at once; 0: the batching policy's own");
  d.field("max_num_batched_tokens", e.max_num_batched_tokens, {0, 1048576},
          "Tokens of one iteration; 0: the batching policy's own");
  d.field("chunked_prefill", e.chunked_prefill,
          "Split prompts over iterations; for batching policies that have the choice");
  d.field("max_model_len", e.max_model_len, {0, 1e8},
          "Prompt and output of one request at most; 0: the model's context", "tokens");
  d.field("block_size", e.block_size, {1, 65536}, "Tokens of a KV block", "tokens");
  d.field("gpu_memory_utilization", e.gpu_memory_utilization, {0.05, 1}, "Share of device memory that the engine uses");
  d.field("kv_blocks", e.kv_blocks, {0, 1e12}, "KV blocks of a replica, as an engine reports them; 0: derived",
          "blocks");
  d.field("swap_space", e.swap_space, {0, 1e15}, "Host memory for swapped KV, of a replica");
  d.field("too_long", e.too_long, {{"reject", 0}, {"truncate", 1}, {"refuse", 2}},
          "Requests beyond the context or the KV memory: reject and count, truncate, or refuse the whole run");
}

void describe(Describer& d, StopConfig& s) {
  d.field("requests", s.requests, {0, kMaxCount}, "Arrivals; 0: all that the workload has");
  d.field("after", s.after, {0, 9e6}, "Only arrivals before this time; 0: no limit");
  d.field("drain", s.drain, "Finish what has arrived; false leaves it in flight and counts it");
}

void describe(Describer& d, ReplicationConfig& r) {
  d.field("seeds", r.seeds, {1, 10000}, "Replications, each with its own seed");
  d.field("model_error", r.model_error, "Draw the coefficients of the cost model from their error");
}

void describe(Describer& d, ValidateConfig& v) {
  d.field("load", v.load, {0, 0.95},
          "Share of time that the engine is busy; arrival rates are scaled to it, 0 leaves them");
  d.field("runs", v.runs, {1, 99}, "Real runs, whose median is compared");
  d.field("batches", v.batches, {40, 1000}, "Batches that the law of a step is fitted to");
  d.field("loads", v.loads, {0.05, 0.95}, "Several loads, one after the other, instead of one");
  d.field("batching", v.batching,
          "Batching policies, one after the other, separated by commas; empty: /policy/batching");
}

void describe(Describer& d, GlobalConfig& g) {
  d.field("seed", g.seed, {0, 9007199254740992.0}, "Seed of all random numbers");
  d.field("rows", g.rows, "Write requests.csv");
  d.field("charges", g.charges,
          "Charge requests what their steps spend, also without pools, signals, power, classes or tenants");
}

SearchPath search_path_for(const Document& document) {
  SearchPath path;
  path.folders = {document.folder};
  const std::string xdg = from_environment("XDG_CONFIG_HOME"), home = from_environment("HOME");
  if (!xdg.empty()) path.folders.push_back(xdg + "/orrery");
  else if (!home.empty()) path.folders.push_back(home + "/.config/orrery");
  std::string data = from_environment("ORRERY_DATA");
  if (data.empty()) data = "../shared/data";
  path.folders.push_back(data);
  path.folders.push_back(data + "/traces");
  add_former_folders(document.value, path);
  return path;
}

std::string slo_key(const SloLimit& limit) {
  return std::string(name(limit.metric)) + "_p" + format_number(limit.percentile);
}

std::vector<SloLimit> read_slo(const Value& slo, int request_class, ErrorList& errors) {
  std::vector<SloLimit> limits;
  ObjectReader r(slo, errors);
  if (!slo.is_object()) return limits;
  for (const Value::Member& m : slo.members()) {
    const std::size_t split = m.first.rfind("_p");
    const double p = split == std::string::npos ? 0 : parse_number(m.first.substr(split + 2)).value_or(0);
    for (const Metric metric : {Metric::kTtft, Metric::kTpot, Metric::kItl, Metric::kE2e, Metric::kQueue}) {
      if (p <= 0 || p > 100 || m.first.substr(0, split) != name(metric)) continue;
      SloLimit limit{metric, p, {}, request_class};
      if (r.duration(m.first, limit.limit, {1e-12})) limits.push_back(limit);
    }
  }
  for (const auto* key : {"ttft_p99", "tpot_p99", "itl_p99", "e2e_p99", "queue_p99"}) r.take(key);  // for suggestions
  r.finish();
  return limits;
}

namespace {

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

}  // namespace

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

RunConfig read_run_config(Document document, ErrorList& errors) {
  RunConfig c;
  c.document = std::move(document);
  c.search = search_path_for(c.document);
  const Value& root = c.document.value;
  ObjectReader r(root, errors, "");
  r.take("extends");
  const bool several = r.take("models") != nullptr;
  if (several) r.error("models", "not available in this version; name one /model");
  if (const Value* m = several ? r.take("model") : r.require("model"); m != nullptr) c.model = *m;
  c.hardware = Value("h200-sxm");
  if (const Value* v = r.take("hardware"); v != nullptr) c.hardware = *v;
  c.hardware.anchor("/hardware");
  if (const Value* v = r.require("workload"); v != nullptr) c.workload = *v;
  if (const Value* v = r.take("cluster"); v != nullptr) read_cluster(*v, c, errors);
  if (const Value* v = r.take("engine"); v != nullptr) read_engine(*v, c.engine, errors);
  const Value* policy = r.take("policy");
  read_policies(policy == nullptr ? Value::object() : *policy, c.policy, errors);
  if (const Value* v = r.take("slo"); v != nullptr) c.slo = read_slo(*v, -1, errors);
  if (const Value* v = r.take("classes"); v != nullptr) c.classes = read_classes(*v, c.slo, errors);
  if (const Value* v = r.take("stop"); v != nullptr) read_section(*v, c.stop, errors);
  if (const Value* v = r.take("validate"); v != nullptr) read_section(*v, c.validate, errors);
  if (const Value* v = r.take("warmup"); v != nullptr) read_warmup(*v, c.warmup, errors);
  if (const Value* v = r.take("replication"); v != nullptr) read_replication(*v, c.replication, errors);
  if (const Value* v = r.take("signals"); v != nullptr) read_all_signals(*v, c, errors);
  check_cluster_policy(c, r, errors);
  if (const Value* v = r.take("power"); v != nullptr) read_power(*v, c, errors);
  r.strings("plugins", c.plugins);
  read_described(r, c.global);
  if (const Value* v = r.take("scaling"); v != nullptr) make_room_for_scaling(*v, c.pools);
  if (const Value* v = r.take("events"); v != nullptr) c.events = read_events(*v, c.pools, c.links, errors);
  if (const Value* v = r.take("scaling"); v != nullptr) c.scaling = read_scaling(*v, c.pools, errors);
  refuse_reserved(r);
  r.finish();
  return c;
}

}  // namespace orrery
