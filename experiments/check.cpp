#include <algorithm>
#include <array>
#include <ostream>

#include "experiments/assembly.hpp"
#include "experiments/run.hpp"
#include "experiments/screen.hpp"
#include "experiments/verbs.hpp"

namespace orrery {
namespace {

std::string gb(double bytes) { return significant(bytes * 1e-9, 3) + " GB"; }

StepShape decode_step(std::int64_t calls, std::int64_t context) {
  StepShape s;
  s.decodes = Tokens{calls};
  s.decode_context = Tokens{calls * context};
  s.max_context = Tokens{context};
  s.sequences = static_cast<std::int32_t>(calls);
  s.outputs = static_cast<std::int32_t>(calls);
  return s;
}

/// `chunk` must outlive the shape.
StepShape prefill_step(const ChunkShape& chunk) {
  StepShape s;
  s.prefill = chunk.q;
  s.prefill_pairs = chunk.q.value() * chunk.q.value() / 2;
  s.sequences = 1;
  s.outputs = 1;
  s.chunks = {&chunk, 1};
  return s;
}

/// Time of a step over all stages, the floor that the device sets, and whether it is inside the fitted range.
Value step_value(const DeploymentParts& d, const std::string& what, const StepShape& shape) {
  const OperatorCostModel& operators = *d.hardware->cost;
  const CostModel& cost = *d.cost;
  Duration time{}, floor{};
  bool in_range = true;
  for (int stage = 0; stage < cost.stages(); ++stage) {
    const StepRun run = cost.price({&shape, 1}, stage);
    time += run.first;
    floor += operators.roofline(shape, stage);
    in_range = in_range && run.in_range;
    if (stage > 0) time += cost.hop(shape.prefill + shape.decodes);
  }
  Value v = Value::object();
  v["step"] = what;
  v["seconds"] = to_seconds(time);
  v["floor_s"] = to_seconds(floor);
  v["of_floor"] = to_seconds(time) > 0 ? to_seconds(floor) / to_seconds(time) : 0.0;
  v["in_fitted_range"] = in_range;
  return v;
}

Value steps_of(const Assembly& a) {
  const ResolvedInfo& w = a.workload;
  const auto prompt = std::max<std::int64_t>(1, static_cast<std::int64_t>(w.mean_prompt));
  const auto context = std::max<std::int64_t>(1, static_cast<std::int64_t>(w.mean_prompt + w.mean_output / 2));
  const std::int64_t fit =
      std::max<std::int64_t>(1, a.deployment.facts.blocks * a.deployment.facts.block_tokens / context);
  Value steps = Value::array();
  const ChunkShape chunk{Tokens{0}, Tokens{prompt}};
  steps.push_back(
      step_value(a.deployment, "prefill of the mean prompt, " + grouped(prompt) + " tokens", prefill_step(chunk)));
  for (const std::int64_t calls : {std::int64_t{1}, std::int64_t{32}, std::min<std::int64_t>(256, fit)}) {
    steps.push_back(step_value(a.deployment, "decode of " + grouped(calls) + " at context " + grouped(context),
                               decode_step(calls, context)));
  }
  return steps;
}

/// Each pool with what its instances hold; memory, KV and steps above are of the first.
Value pools_of(const Assembly& a) {
  Value pools = pools_summary(a.pools);
  for (std::size_t i = 0; i < a.pools.size(); ++i) {
    pools[i]["weight_bytes_per_gpu"] = a.pools[i].deployment.hardware->kv.weight_bytes;
    pools[i]["block_tokens"] = a.pools[i].deployment.facts.block_tokens;
    pools[i]["max_context"] = a.pools[i].deployment.facts.max_context;
  }
  return pools;
}

void print_pool(const Value& p, std::ostream& out) {
  out << "pool       " << p.at("name").as_string() << ": " << grouped(p.at("replicas").as_int()) << " x "
      << p.at("hardware").as_string() << " tp" << p.at("tp").as_int() << " pp" << p.at("pp").as_int() << ", "
      << p.at("role").as_string() << ", " << p.at("batching").as_string() << " | weights "
      << gb(p.at("weight_bytes_per_gpu").as_double()) << " a GPU | KV "
      << grouped(p.at("blocks_per_replica").as_int()) << " blocks of " << p.at("block_tokens").as_int()
      << " tokens a replica | network "
      << (p.at("network_bytes_per_s").as_int() > 0 ? gb(p.at("network_bytes_per_s").as_double()) + "/s" : "not known")
      << '\n';
}

Value check_value(const Assembly& a) {
  const DeploymentFacts& f = a.deployment.facts;
  const KvCapacity& kv = a.deployment.hardware->kv;
  Value v = Value::object();
  v["config"] = resolved_config(a);
  Value& d = v["deployment"];
  d["model"] = f.model;
  d["hardware"] = f.hardware;
  d["replicas"] = f.replicas;
  d["gpus"] = f.gpus();
  d["weight_bytes_per_gpu"] = kv.weight_bytes;
  d["activation_bytes_per_gpu"] = kv.activation_bytes;
  d["reserved_bytes_per_gpu"] = kv.reserved_bytes;
  d["memory_bytes_per_gpu"] = kv.memory_bytes;
  d["max_context"] = f.max_context;
  d["usd_per_hour"] = f.usd_per_hour;
  d["price_source"] = f.price_source;
  Value& k = v["kv"];
  k["bytes_per_token"] = f.kv_bytes_per_token;
  k["block_tokens"] = f.block_tokens;
  k["blocks_per_replica"] = f.blocks;
  k["tokens_per_replica"] = f.blocks * f.block_tokens;
  k["source"] = f.kv_source;
  if (const EngineConfig::KvTier& tier = a.config.engine.tier; !tier.name.empty()) {
    k["host_tokens_per_replica"] = static_cast<std::int64_t>(tier.size / f.kv_bytes_per_token);
    k["host_bytes_per_s"] = tier.bytes_per_s;
  }
  if (!a.pools.empty()) v["pools"] = pools_of(a);
  Value& w = v["workload"];
  w["text"] = a.workload.summary;
  w["rate"] = a.workload.rate;
  w["mean_prompt"] = a.workload.mean_prompt;
  w["mean_output"] = a.workload.mean_output;
  w["notes"] = Value::array();
  for (const std::string& n : a.workload.notes) w["notes"].push_back(n);
  v["steps"] = steps_of(a);
  v["provenance"] = Value::array();
  for (const std::string& line : f.provenance) v["provenance"].push_back(line);
  v["not_modelled"] = Value::array();
  for (const std::string& n : f.not_modelled) v["not_modelled"].push_back(n);
  v["random"] = Value::array();
  for (const std::string& r : a.random()) v["random"].push_back(r);
  return v;
}

void print_check(const Value& v, std::ostream& out) {
  const Value &d = v.at("deployment"), &k = v.at("kv"), &w = v.at("workload");
  out << "model      " << d.at("model").as_string() << " on " << d.at("gpus").as_int() << " x "
      << d.at("hardware").as_string() << " in " << d.at("replicas").as_int()
      << (d.at("replicas").as_int() == 1 ? " replica" : " replicas") << ", context "
      << grouped(d.at("max_context").as_int()) << " tokens\n";
  out << "memory     of " << gb(d.at("memory_bytes_per_gpu").as_double()) << " a GPU: weights "
      << gb(d.at("weight_bytes_per_gpu").as_double()) << ", activations "
      << gb(d.at("activation_bytes_per_gpu").as_double()) << ", reserved "
      << gb(d.at("reserved_bytes_per_gpu").as_double()) << '\n';
  out << "KV         " << grouped(k.at("blocks_per_replica").as_int()) << " blocks of " << k.at("block_tokens").as_int()
      << " tokens a replica = " << grouped(k.at("tokens_per_replica").as_int()) << " tokens at "
      << grouped(static_cast<std::int64_t>(k.at("bytes_per_token").as_double())) << " bytes ("
      << k.at("source").as_string() << ")\n";
  if (k.find("host_bytes_per_s") != nullptr)
    out << "host       cached prefixes of " << grouped(k.at("host_tokens_per_replica").as_int())
        << " tokens a replica in host memory, " << gb(k.at("host_bytes_per_s").as_double()) << "/s each way\n";
  if (const Value* pools = v.find("pools"); pools != nullptr && pools->items().size() > 1)
    for (const Value& p : pools->items()) print_pool(p, out);
  const double usd = d.at("usd_per_hour").as_double();
  out << "price      "
      << (usd > 0 ? "$" + significant(usd, 3) + "/h (" + d.at("price_source").as_string() + ")" : "not known") << '\n';
  out << "workload   " << w.at("text").as_string() << " | mean prompt "
      << significant(w.at("mean_prompt").as_double(), 4) << ", output "
      << significant(w.at("mean_output").as_double(), 4) << " tokens";
  if (w.at("rate").as_double() > 0) out << ", " << significant(w.at("rate").as_double(), 4) << "/s";
  out << '\n';
  for (const Value& n : w.at("notes").items()) out << "           " << n.as_string() << '\n';
  for (const Value& s : v.at("steps").items()) {
    out << "step       " << s.at("step").as_string() << ": " << seconds_text(s.at("seconds").as_double()) << ", floor "
        << seconds_text(s.at("floor_s").as_double()) << " (" << percent(s.at("of_floor").as_double())
        << " of the roofline)" << (s.at("in_fitted_range").as_bool() ? "" : ", OUTSIDE the fitted range") << '\n';
  }
  for (const Value& line : v.at("provenance").items()) out << "from       " << line.as_string() << '\n';
  out << "not modelled ";
  for (std::size_t i = 0; i < v.at("not_modelled").items().size(); ++i) {
    out << (i == 0 ? "" : "; ") << v.at("not_modelled").items()[i].as_string();
  }
  out << "\nrandom     ";
  for (std::size_t i = 0; i < v.at("random").items().size(); ++i)
    out << (i == 0 ? "" : ", ") << v.at("random").items()[i].as_string();
  out << (v.at("random").items().empty() ? "nothing" : "") << '\n';
}

}  // namespace

int check_verb(const CheckOptions& o, std::ostream& out) {
  const Assembly a = assemble(load_document(o.config, o.sets), o.plugins);
  const Value v = check_value(a);
  if (o.json) out << to_json(v) << '\n';
  else print_check(v, out);
  return kExitDone;
}

}  // namespace orrery
