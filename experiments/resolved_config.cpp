#include <filesystem>

#include "experiments/assembly.hpp"

namespace orrery {

Value resolved_config(const Assembly& a) {
  const RunConfig& c = a.config;
  const auto section = [](auto described) {
    DumpDescriber dump;
    describe(dump, described);
    return dump.values;
  };
  Value v = Value::object();
  Value& found = v["// found"];
  found = Value::object();
  found["version"] = ORRERY_VERSION;
  found["search"] = Value::array();
  for (const std::string& folder : c.search.folders) {
    found["search"].push_back(std::filesystem::absolute(folder).lexically_normal().string());
  }
  found["inputs"] = Value::array();
  for (const InputFact& i : a.deployment.inputs) found["inputs"].push_back(i.role + " " + i.name + ": " + i.place);
  for (const auto& i : a.workload.inputs) found["inputs"].push_back(i.format + " " + i.path);
  v["model"] = a.deployment.resolved_model;
  v["hardware"] = a.deployment.resolved_hardware;
  v["cluster"] = section(c.cluster);
  const Value* cluster = c.document.value.find("cluster");
  if (cluster != nullptr && cluster->find("pools") != nullptr) {   // else there is one, of the keys above
    v["cluster"].erase("replicas");
    v["cluster"]["pools"] = resolved_pools(a.pools);
    for (const auto* key : {"nodes", "links"})
      if (cluster->find(key) != nullptr) v["cluster"][key] = cluster->at(key);
  }
  if (!c.capacity.given.is_null()) v["signals"]["capacity"] = c.capacity.given;
  v["engine"] = section(c.engine);
  if (c.engine.preset.empty()) v["engine"].erase("preset");
  if (!c.engine.chunked_prefill_given) v["engine"].erase("chunked_prefill");
  v["engine"]["prefix_cache"]["kind"] = c.engine.prefix_cache;
  if (const EngineConfig::KvTier& t = c.engine.tier; !t.name.empty()) {
    Value tier = Value::object();
    tier["name"] = t.name;
    tier["size"] = t.size;
    tier["bandwidth"] = t.bytes_per_s;
    v["engine"]["kv_tiers"].push_back(std::move(tier));
  }
  v["engine"]["kv_format"] = section(c.engine.variants.format);
  v["engine"]["kv_layout"] = section(c.engine.variants.layout);
  v["engine"]["kernels"] = section(c.engine.variants.kernels);
  v["policy"] = a.resolved_policies;
  v["workload"] = a.workload.workload;
  for (const std::string& name : c.plugins) v["plugins"].push_back(name);
  for (const auto* key : {"slo", "classes", "events", "scaling", "validate"}) {
    if (const Value* given = c.document.value.find(key); given != nullptr) v[key] = *given;
  }
  for (std::size_t i = 0; i < c.power.size(); ++i) {
    v["power"].push_back(c.document.value.at("power").items()[i]);
    v["power"][i]["policy"] = a.resolved_power[i].at("power");
  }
  if (const Value* given = c.document.value.find("signals"); given != nullptr) {
    for (const auto* key : {"carbon", "price", "power", "bandwidth"})
      if (const Value* one = given->find(key); one != nullptr) v["signals"][key] = *one;
  }
  v["stop"] = section(c.stop);
  if (c.warmup) v["warmup"] = format_duration(*c.warmup);
  else v["warmup"] = "auto";
  v["replication"] = section(c.replication);
  using Resample = ReplicationConfig::Resample;
  if (c.replication.resample == Resample::kAuto) v["replication"]["resample"] = "auto";
  else v["replication"]["resample"] = c.replication.resample == Resample::kOn;
  const Value globals = section(c.global);
  for (const Value::Member& m : globals.members()) v[m.first] = m.second;
  return v;
}

}  // namespace orrery
