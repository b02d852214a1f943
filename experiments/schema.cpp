#include "experiments/schema.hpp"

#include "experiments/placement.hpp"
#include "experiments/policy_set.hpp"
#include "experiments/run_config.hpp"
#include "sim/config/reader.hpp"
#include "traces/workload_model.hpp"

namespace orrery {
namespace {

Value typed(const char* type, std::string_view description = "") {
  Value v = Value::object();
  v["type"] = type;
  if (!description.empty()) v["description"] = description;
  return v;
}

template <class... Alternatives>
Value any_of(Alternatives... alternatives) {
  Value v = Value::object();
  v["anyOf"] = Value::array();
  (v["anyOf"].push_back(std::move(alternatives)), ...);
  return v;
}

Value names_schema(const std::vector<std::string>& names) {
  Value v = Value::object();
  v["enum"] = Value::array();
  for (const std::string& n : names) v["enum"].push_back(n);
  return v;
}

/// A number in SI, or a string with a unit.
Value quantity(const char* example, std::string_view description = "") {
  Value text = typed("string");
  text["examples"] = Value::array();
  text["examples"].push_back(example);
  Value v = any_of(typed("number"), std::move(text));
  if (!description.empty()) v["description"] = description;
  return v;
}

Value object_of(Value properties) {
  Value v = typed("object");
  v["properties"] = std::move(properties);
  v["patternProperties"]["^//"] = Value::object();
  v["additionalProperties"] = false;
  return v;
}

/// One entry of a ListDescriber.
Value parameter_schema(const Value& p) {
  const std::string& type = p.at("type").as_string();
  const Value* unit = p.find("unit");
  const bool with_unit = unit != nullptr && dimension_of(unit->as_string()) != Dimension::kNumber;
  Value v = Value::object();
  if (type == "duration") {
    v = quantity("200ms");
  } else if (type == "numbers") {
    v = typed("array");
    v["items"] = typed("number");
  } else if (type == "enum") {
    v["enum"] = p.at("values");
  } else if (with_unit) {
    v = quantity("2MB");
  } else {
    v = typed(type.c_str());
    if (const Value* min = p.find("min")) v["minimum"] = *min;
    if (const Value* max = p.find("max")) v["maximum"] = *max;
  }
  v["default"] = p.at("default");
  v["description"] = p.at("help").as_string() + (unit != nullptr ? " (" + unit->as_string() + ")" : "");
  return v;
}

Value properties_of(const Value& parameters) {
  Value v = Value::object();
  for (const Value& p : parameters.items()) v[p.at("name").as_string()] = parameter_schema(p);
  return v;
}

template <class Described>
Value described_properties() {
  ListDescriber list;
  Described defaults;
  describe(list, defaults);
  return properties_of(list.parameters);
}

/// Reserved keys accept nothing here, and say why.
void add_reserved(Value& properties, std::string_view pointer) {
  for (const std::string& key : reserved_keys(pointer)) {
    Value v = Value::object();
    v["not"] = Value::object();
    v["description"] = "not available in this version";
    properties[key] = std::move(v);
  }
}

/// One entry of list_policies, as a further alternative of its slot.
void add_policy(const Value& p, Value& slot) {
  Value& alternatives = slot["anyOf"];
  std::vector<std::string> names{p.at("name").as_string()};
  for (const Value& alias : p.at("aliases").items()) names.push_back(alias.as_string());
  Value properties = properties_of(p.at("parameters"));
  properties["name"] = names_schema(names);
  Value object = object_of(std::move(properties));
  object["required"] = Value::array();
  object["required"].push_back("name");
  object["description"] = p.at("system");
  alternatives.push_back(names_schema(names));
  alternatives.push_back(std::move(object));
}

Value policy_slots(const Registry& registry) {
  Value slots = Value::object();
  const Value all = list_policies(registry, "");
  for (const Value& p : all.items()) add_policy(p, slots[p.at("slot").as_string()]);
  add_reserved(slots, "/policy");
  slots.erase(slot_name<PowerPolicy>());   // of an entry of /power
  slots.erase(slot_name<ScalingRule>());   // of an entry of /scaling
  return object_of(std::move(slots));
}

Value slo_schema() {
  Value v = typed("object", "Limits on percentiles, for instance ttft_p99");
  v["patternProperties"]["^(ttft|tpot|itl|e2e|queue)_p[0-9.]+$"] = quantity("500ms");
  v["patternProperties"]["^//"] = Value::object();
  v["additionalProperties"] = false;
  return v;
}

Value distribution(std::string_view description) {
  Value text = typed("string");
  text["examples"] = Value::array();
  for (const auto* e :
       {"lognormal:1155,1.1", "uniform:820..1024", "exponential:200", "powerlaw:256,8..6144", "empirical:file.csv"}) {
    text["examples"].push_back(e);
  }
  Value v = any_of(typed("number"), std::move(text));
  v["description"] = description;
  return v;
}

Value arrival_schema() {
  Value p = Value::object();
  p["process"] = names_schema({"constant", "poisson", "gamma", "onoff", "profile", "closed", "sinusoid"});
  p["rate"] = quantity("12/s", "Requests a second, over the whole cluster");
  p["cv"] = typed("number", "Coefficient of variation of the gaps (gamma)");
  p["on"] = distribution("Length of the phases with arrivals (onoff)");
  p["off"] = distribution("Length of the phases without (onoff)");
  p["profile"] = typed("string", "CSV file t_s,rate (profile)");
  p["amplitude"] = typed("number", "Largest deviation from the mean rate, as a share of it (sinusoid)");
  p["period"] = quantity("24h", "A day, lowest at its start (sinusoid)");
  p["users"] = typed("integer", "Users who wait for their answer (closed)");
  p["think"] = distribution("Time between an answer and the next request (closed)");
  return object_of(std::move(p));
}

Value lengths_schema() {
  Value p = Value::object();
  p["name"] = typed("string", "A workload model");
  p["prompt"] = distribution("Prompt tokens");
  p["output"] = distribution("Output tokens");
  p["trace"] = typed("string", "A file whose rows are drawn as pairs");
  p["max_tokens"] = distribution("What the client asks for at most; \"exact\": the output");
  p["max_total"] = typed("integer", "Prompt and output are cut to this sum");
  Value name = typed("string");
  name["examples"] = names_schema(builtin_workload_models()).at("enum");
  return any_of(std::move(name), object_of(std::move(p)));
}

Value workload_schema() {
  Value p = Value::object();
  p["arrival"] = arrival_schema();
  p["lengths"] = lengths_schema();
  p["requests"] = typed("integer", "How many");
  p["trace"] =
      typed("string", "A trace file, looked up beside the config, in the user's config folder and in $ORRERY_DATA");
  p["scale"] = typed("object", "{\"factor\": 3, \"method\": \"resample|speedup|thin\"}");
  p["window"] = typed("string", "Part of the trace: \"14:00..15:00\" or \"600s..1200s\"");
  p["sessions"] = any_of(typed("string"), typed("object", "{\"turns\": D, \"think\": D}"));
  p["tenants"] = typed("array", "[{\"name\", \"share\"}], or each with arrival and lengths of its own");
  Value models = Value::object();
  models["count"] = typed("integer", "Models that requests are for");
  models["zipf"] = typed("number", "Model k is asked for in proportion to k^-zipf");
  p["models"] = object_of(std::move(models));
  p["prefixes"] = typed("array", "[{\"tokens\": 1800, \"share\": 0.6}]");
  return object_of(std::move(p));
}

Value engine_schema() {
  Value p = described_properties<EngineConfig>();
  Value kind = Value::object();
  kind["kind"] = names_schema({"none", "hash", "radix"});
  p["prefix_cache"] = any_of(names_schema({"none", "hash", "radix"}), object_of(std::move(kind)));
  Value tier = Value::object();
  tier["name"] = names_schema({"dram"});
  tier["size"] = quantity("128GB", "Of host memory for cached prefixes, of a replica");
  tier["bandwidth"] = quantity("25GB/s", "Of a replica's links to it together, each way; swapped KV takes them too");
  p["kv_tiers"] = typed("array", "Where cached prefixes go that the device evicts: one tier, host memory");
  p["kv_tiers"]["items"] = object_of(std::move(tier));
  p["kv_format"] = any_of(names_schema({"fp16", "fp8", "kivi"}), object_of(described_properties<KvFormat>()));
  p["kv_layout"] =
      any_of(names_schema({"paged", "contiguous", "virtual-contiguous"}), object_of(described_properties<KvLayout>()));
  p["kernels"] = object_of(described_properties<Kernels>());
  add_reserved(p, "/engine");
  return object_of(std::move(p));
}

Value classes_schema() {
  Value match = Value::object();
  for (const auto* key : {"tenant", "class", "model"}) {
    match[key] = typed("array");
    match[key]["items"] = typed("string");
  }
  Value p = described_properties<ClassConfig>();
  p["match"] = object_of(std::move(match));
  p["slo"] = slo_schema();
  p["qoe"] = object_of(described_properties<QoeConfig>());
  p["retry"] = object_of(described_properties<RetryConfig>());
  add_reserved(p, "/classes/*");
  Value v = typed("object", "Classes by name; the first that matches counts");
  v["additionalProperties"] = object_of(std::move(p));
  return v;
}

Value array_of(Value item, std::string_view description) {
  Value v = typed("array", description);
  v["items"] = std::move(item);
  return v;
}

Value pool_schema(const Registry& registry) {
  Value p = Value::object();
  p["name"] = typed("string");
  p["role"] = names_schema({"mixed", "prefill", "decode"});
  p["replicas"] = typed("integer", "Instances of the pool");
  p["tp"] = typed("integer", "Devices that share every layer of an instance");
  p["pp"] = typed("integer", "Pipeline stages of an instance");
  p["priority"] = typed("integer", "Of the requests that the pool is for; lower is more urgent (by-priority, power)");
  p["serving"] = typed("integer", "Instances that serve at the start; the others are off");
  p["network"] = quantity("50GB/s", "Of one instance, each way; the devices' data sheet where it is left out");
  p["hardware"] = any_of(typed("string"), typed("object"));
  const Value slots = policy_slots(registry);
  Value policy = Value::object();
  for (const auto* slot : {"batching", "order", "kv"}) policy[slot] = slots.at("properties").at(slot);
  p["policy"] = object_of(std::move(policy));
  Value life = Value::object();
  life["min"] = typed("integer", "Instances that stay when there is nothing to do, with keep_alive");
  life["keep_alive"] = quantity("60s", "An instance without calls is drained after this time; where it is left out, as "
                                       "the policy says, or never");
  life["tier"] = names_schema({"ssd", "remote"});
  life["engine_init"] = quantity("60s", "From loaded weights, or from the order on a new node, to serving");
  p["lifecycle"] = object_of(std::move(life));
  return object_of(std::move(p));
}

Value tier_schema(const char* example, bool sized) {
  Value p = Value::object();
  p["bandwidth"] = quantity(example, "No limit where the tier is left out");
  if (sized) p["size"] = quantity("128GB", "Pinned memory for weights");
  return object_of(std::move(p));
}

Value node_schema() {
  Value p = Value::object();
  p["count"] = typed("integer", "Machines that are alike");
  p["gpus"] = typed("integer", "Devices of each");
  p["hardware"] = typed("string", "Of pools that stand here; of any where it is left out");
  p["dram"] = tier_schema("20GB/s", true);
  p["ssd"] = tier_schema("12GB/s", false);
  p["network"] = tier_schema("1.25GB/s", false);
  return object_of(std::move(p));
}

Value link_schema() {
  Value p = Value::object();
  p["from"] = typed("string", "Name of a pool");
  p["to"] = typed("string", "Name of a pool");
  p["bandwidth"] = quantity("50GB/s", "Shared by all transfers; no limit where it is left out");
  p["latency"] = quantity("10us", "Of each transfer");
  return object_of(std::move(p));
}

Value power_schema(const Registry& registry) {
  Value server = Value::object();
  server["constant"] = quantity("1.6kW", "What a server draws besides its devices, always");
  server["share"] = typed("number", "And for each watt of its devices");
  Value policies = Value::object();
  const Value all = list_policies(registry, "");
  for (const Value& p : all.items())
    if (p.at("slot").as_string() == slot_name<PowerPolicy>()) add_policy(p, policies);
  Value p = Value::object();
  p["domain"] = typed("string", "Name of a row of servers");
  p["pools"] = array_of(typed("string"), "Whose instances stand in it; all where it is left out");
  p["budget"] = quantity("260kW", "Power of the row");
  p["telemetry"] = quantity("2s", "Between samples of its power");
  p["cap_delay"] = quantity("40s", "From the order of a clock to its effect");
  p["brake_delay"] = quantity("5s", "From the order of the brake to its effect");
  p["server"] = object_of(std::move(server));
  p["policy"] = std::move(policies);
  return object_of(std::move(p));
}

Value signals_schema() {
  Value p = Value::object();
  Value c = Value::object();
  c["file"] = typed("string", "A capacity trace, t_s,op,nodes");
  c["rows"] = array_of(typed("string"), "Its rows, in place of a file");
  c["segment"] = typed("string", "Of a file that has several");
  c["pool"] = typed("string", "Whose instances stand on the nodes; all pools where it is left out");
  c["grace"] = quantity("30s", "From the notice to the end of a node");
  c["gpus_per_node"] = typed("integer", "Devices of a node; those of an instance where it is left out");
  c["usd_per_hour"] = typed("number", "Price of a node");
  p["capacity"] = object_of(std::move(c));
  const auto signal = [](std::string_view description) {
    Value v = any_of(typed("number"), typed("string"), typed("object"));
    v["description"] = description;
    return v;
  };
  const auto several = [&](std::string_view description) {
    return any_of(signal(description), array_of(signal(description), description));
  };
  p["carbon"] = signal("gCO2 a kWh: a number, a CSV file, or {\"file\" or \"value\", \"column\", \"start\", \"pue\"}");
  p["price"] = several("USD an hour of a device, likewise; with \"pools\"");
  p["power"] = several("Watts that others draw in a power domain, likewise; with \"domain\"");
  p["bandwidth"] = several("Bytes a second of the link \"from\" a pool \"to\" another, or of the network of each "
                           "instance of \"pools\", likewise");
  return object_of(std::move(p));
}

/// Whom an event hits; `more` is what it does to them.
Value target_schema(std::string_view description, Value more) {
  more["pool"] = typed("string", "Name of a pool; the only one where it is left out");
  more["replicas"] = typed("integer", "So many instances: the first that serve, or drawn if it comes again");
  more["nodes"] = typed("integer", "So many machines, with the instances of the pool, or of all pools, on them");
  for (const auto* key : {"replica", "node"}) more[key] = any_of(typed("integer"), array_of(typed("integer"), "Which"));
  Value v = object_of(std::move(more));
  v["description"] = description;
  return v;
}

Value event_schema() {
  const auto one = [](const char* key, Value value) {
    Value v = Value::object();
    v[key] = std::move(value);
    return v;
  };
  Value restart = one("at_once", typed("integer", "Instances at a time"));
  restart["drain"] = quantity("2min", "They stop after this time even if they have calls; 0: they finish them");
  Value p = Value::object();
  p["at"] = quantity("20min", "When; of `every`, from when on");
  p["every"] = quantity("6h", "Mean time from one to the next, exponential");
  p["fail"] = target_schema("Instances fail", Value::object());
  p["slow"] = target_schema("Steps take longer", one("factor", typed("number", "Times the usual time")));
  Value network = one("factor", typed("number", "Times the usual bandwidth"));
  network["from"] = typed("string", "Name of a pool: the link from there");
  network["to"] = typed("string", "Name of a pool: the link to there");
  p["network"] = target_schema("Less bandwidth of instances' networks, or of a link", std::move(network));
  p["restart"] = target_schema("All instances, one batch after the other", std::move(restart));
  p["for"] = quantity("15min", "Until it ends; for good where it is left out");
  p["detect"] = quantity("10s", "Until the failure is noticed; calls that are sent there until then wait in vain");
  p["start_delay"] = quantity("4min", "From its end until the instance serves");
  p["calls"] = names_schema({"recompute", "restart"});
  return object_of(std::move(p));
}

Value scaling_schema(const Registry& registry) {
  Value p = Value::object();
  std::vector<std::string> rules;
  const Value all = list_policies(registry, "");
  for (const Value& rule : all.items()) {
    if (rule.at("slot").as_string() != "scaling") continue;
    rules.push_back(rule.at("name").as_string());
    for (const Value& alias : rule.at("aliases").items()) rules.push_back(alias.as_string());
    const Value parameters = properties_of(rule.at("parameters"));
    for (const Value::Member& m : parameters.members()) p[m.first] = m.second;
  }
  p["pool"] = typed("string", "Name of a pool; the only one where it is left out");
  p["rule"] = names_schema(rules);
  p["min"] = typed("integer", "Instances at least");
  p["max"] = typed("integer", "Instances at most; the pool's replicas where it is left out");
  p["every"] = quantity("15s", "The rule is asked so often");
  p["lag"] = quantity("60s", "Age of the metrics that it sees");
  p["start_delay"] = quantity("4min", "From its start until an instance serves");
  return object_of(std::move(p));
}

Value name_or_object(std::string_view description) {
  Value v = any_of(typed("string"), typed("object"));
  v["description"] = description;
  return v;
}

}  // namespace

Value run_schema(const Registry& registry) {
  Value p = described_properties<GlobalConfig>();
  p["$schema"] = typed("string");
  p["extends"] = typed("string", "A config that this one changes, relative to this file");
  p["model"] = name_or_object("A model, or {\"name\", \"dtype\", \"kv_dtype\"}");
  p["hardware"] = name_or_object("A device, or {\"name\", \"cost\"}");
  p["workload"] = workload_schema();
  Value cluster = described_properties<ClusterConfig>();
  cluster["placement"] = object_of(described_properties<PlacementConfig>());
  cluster["pools"] = array_of(pool_schema(registry), "Instances that differ in role, hardware or policies");
  cluster["nodes"] = array_of(node_schema(), "Machines, in the order in which pools are laid over them");
  cluster["links"] = array_of(link_schema(), "What transfers from one pool to another share");
  add_reserved(cluster, "/cluster");
  p["cluster"] = object_of(std::move(cluster));
  p["signals"] = signals_schema();
  p["engine"] = engine_schema();
  p["policy"] = policy_slots(registry);
  p["slo"] = slo_schema();
  p["classes"] = classes_schema();
  p["events"] = array_of(event_schema(), "What befalls instances: failures, slow ones, networks, restarts");
  p["scaling"] = array_of(scaling_schema(registry), "Rules that start and drain instances");
  p["stop"] = object_of(described_properties<StopConfig>());
  p["validate"] = object_of(described_properties<ValidateConfig>());
  p["warmup"] = quantity("30s", "\"auto\", 0, or a time");
  Value replication = described_properties<ReplicationConfig>();
  replication["resample"] = any_of(typed("boolean"), names_schema({"auto"}));
  p["replication"] = object_of(std::move(replication));
  p["plugins"] = typed("array", "Names of plug-ins");
  p["power"] = array_of(power_schema(registry), "Servers that share a power budget");
  add_reserved(p, "");
  Value v = object_of(std::move(p));
  v["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  v["title"] = "Orrery run config";
  v["required"] = Value::array();
  v["required"].push_back("model");
  v["required"].push_back("workload");
  return v;
}

}  // namespace orrery
