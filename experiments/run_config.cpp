#include "experiments/run_config.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "experiments/config_parts.hpp"
#include "experiments/operations.hpp"

namespace orrery {
namespace {

constexpr double kMaxCount = 1e15;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// 1 stands for "not used"; more is not available.
void only_one(ObjectReader& reader, std::string_view key) {
  std::int64_t n = 1;
  if (reader.integer(key, n, {1, 65536}) && n != 1) reader.error(key, "not available in this version (only 1 is)");
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
