#include "experiments/deployment.hpp"

#include <algorithm>

#include "sim/config/names.hpp"

namespace orrery {
namespace {

/// /model or /hardware: a name, or an object with a name.
std::string read_name(const Value& v, std::string_view pointer, ErrorList& errors) {
  if (v.is_null() && v.pointer() != pointer) return "";   // left out, which has been told
  const Value* name = v.is_object() ? v.find("name") : &v;
  if (name == nullptr) errors.add(pointer_to(pointer, "name"), "missing key");
  else if (!name->is_string()) errors.add(name->pointer(), "expected a name, got " + brief(*name));
  else return name->as_string();
  return "";
}

struct ModelChoice {
  std::string name, dtype = "bf16", kv_dtype = "auto";
  bool fp8_cache() const { return kv_dtype == "fp8"; }
};

ModelChoice read_model(const Value& v, ErrorList& errors) {
  ModelChoice m;
  m.name = read_name(v, "/model", errors);
  if (!v.is_object()) return m;
  ObjectReader r(v, errors);
  r.take("name");
  for (const auto& [key, out] : {std::pair{"dtype", &m.dtype}, std::pair{"kv_dtype", &m.kv_dtype}}) {
    if (!r.string(key, *out) || *out == "bf16" || *out == "fp16" || *out == "auto") continue;
    if (out == &m.kv_dtype && m.fp8_cache()) continue;
    const bool reserved = *out == "fp8" || *out == "int8" || *out == "int4" || *out == "fp4";
    r.error(key, reserved ? "\"" + *out + "\" is not available in this version"
                          : "expected \"bf16\" or \"fp16\", got \"" + *out + "\"");
    *out = "bf16";
  }
  r.finish();
  return m;
}

struct HardwareChoice {
  std::string name, cost = "operators";   ///< "operators", "steps", or the name of a profile
  bool is_profile() const { return cost != "operators" && cost != "steps"; }
};

HardwareChoice read_hardware(const Value& v, ErrorList& errors) {
  HardwareChoice h;
  h.name = read_name(v, "/hardware", errors);
  if (!v.is_object()) return h;
  ObjectReader r(v, errors);
  r.take("name");
  if (r.string("cost", h.cost) && h.cost.starts_with("plugin:")) {
    r.error("cost", "\"" + h.cost + "\" is not available in this version");
    h.cost = "operators";
  }
  r.finish();
  return h;
}

bool is_slot(std::string_view key) {
  return key == "batching" || key == "order" || key == "predictor" || key == "kv" || key == "router";
}

/// Runs `load`; its errors get the pointer of what it loads.
template <class Load>
void attempt(std::string_view pointer, ErrorList& errors, Load load) {
  try {
    load();
  } catch (const ConfigError& e) { errors.add(pointer, e.what()); }
}

/// A limit of the batching policy, where it has one.
std::int64_t limit_of(const Value& policies, std::string_view parameter, std::int64_t otherwise) {
  const Value* batching = policies.find("batching");
  const Value* limit = batching == nullptr ? nullptr : batching->find(parameter);
  return limit != nullptr && limit->is_number() ? limit->as_int() : otherwise;
}

std::string kv_source(const KvCapacity& kv, const EngineConfig& engine) {
  const std::string derived = gigabytes(kv.usable_bytes) + " usable - " + gigabytes(kv.weight_bytes) + " weights - " +
                              gigabytes(kv.activation_bytes) + " activations - " + gigabytes(kv.reserved_bytes) +
                              " reserved";
  if (engine.kv_blocks == 0) return "derived: " + derived;
  return "pinned by /engine/kv_blocks; derived: " + std::to_string(kv.blocks);
}

/// LongBench averages of KIVI's repository (docs/long_bench.md), for the nearest of its settings.
std::vector<QualityFact> quality_of(const KvFormat& f) {
  if (f.name != KvFormat::Name::kKivi) return {};
  const std::string source = "KIVI, docs/long_bench.md, group 32, residual 128";
  const bool two = f.bits == 2;
  return {{"LongBench, LongChat-7B", 38.72, two ? 38.30 : 38.79, source},
          {"LongBench, Mistral-7B", 43.54, two ? 42.43 : 43.53, source}};
}

void fill_facts(const Deployment& d, const RunConfig& c, const ModelChoice& model, const Variants& variants,
                DeploymentFacts& f) {
  f.model = d.model.name;
  f.dtype = model.dtype;
  f.hardware = d.hardware.name;
  f.provenance = d.provenance;
  f.cost = d.provenance.at(1);
  f.error = f.cost.substr(f.cost.rfind("; ") + 2);
  f.replicas = c.cluster.replicas;
  f.tp = d.parallel.tp;
  f.pp = d.parallel.pp;
  f.weight_bytes_per_gpu = static_cast<double>(d.kv.weight_bytes);
  f.memory_bytes_per_gpu = static_cast<double>(d.kv.memory_bytes);
  f.kv_bytes_per_token =
      static_cast<double>(kv_bytes_per_token(d.model, variants.format, d.hardware.specs.value_bytes));
  f.block_tokens = d.kv.block_tokens;
  f.map_s_per_token = d.cost->map_seconds_per_token();
  f.quality = quality_of(variants.format);
  f.blocks = c.engine.kv_blocks > 0 ? c.engine.kv_blocks : d.kv.blocks;
  f.kv_source = kv_source(d.kv, c.engine);
  f.max_context = c.engine.max_model_len > 0 ? c.engine.max_model_len : d.model.max_position;
  f.peak_flops = d.cost->peak_flops_per_s();
  f.peak_bytes = d.cost->peak_bytes_per_s();
  f.idle_watts = d.cost->idle_watts();
  f.usd_per_hour = d.usd_per_hour * static_cast<double>(c.cluster.replicas);
  if (f.usd_per_hour > 0) f.price_source = d.hardware.price.source + ", " + d.hardware.price.date;
  f.engine = c.engine.preset.empty() ? "" : d.engine.name;
  f.host_engine = d.engine.name;
  f.host_source = d.engine.host.source;
  f.not_modelled = d.engine.not_modelled;
  f.not_modelled.emplace_back("network between client and engine");
  for (const std::string& note : d.cost->variant_cost().notes()) f.not_modelled.push_back("measured on a GPU: " + note);
  if (variants.layout.name == KvLayout::Name::kVirtual) {
    f.not_modelled.emplace_back("deferred reclamation of page groups, processor time of mapping in the background");
  }
}

/// Does a record speak of these prices: this model on one device, by this cost, with the device's own host terms and
/// kernels? `validate` compares nothing else.
void check_validation(const Hardware& h, const RunConfig& c, const std::string& cost, DeploymentFacts& f) {
  if (h.stale_validations)
    f.real_engine_check = "the hardware model has changed since it was compared with a real engine";
  if (!h.validations.empty()) f.real_engine_check = "compared with a real engine for other models or costs only";
  const Kernels& k = c.engine.variants.kernels;
  const bool plain = c.cluster.tp == 1 && c.cluster.pp == 1 && c.engine.preset.empty() &&
                     c.engine.variants.format.name == KvFormat::Name::kFp16 &&
                     c.engine.variants.layout.name != KvLayout::Name::kVirtual &&
                     k.attention == Kernels::Attention::kDevice && k.softmax == Kernels::Softmax::kSync &&
                     k.gemm == Kernels::Gemm::kCublas;
  for (const ValidationRecord& r : h.validations) {
    if (r.model != f.model || r.cost != cost) continue;
    f.validated = plain;
    f.real_engine_check =
        plain ? r.text() : "passed with one device, no engine preset and the device's own kernels only";
  }
}

}  // namespace

std::vector<std::string> apply_preset(Document& document, ErrorList& errors) {
  std::vector<std::string> keys;
  const Value* engine = document.value.find("engine");
  const Value* preset = engine == nullptr ? nullptr : engine->find("preset");
  if (preset == nullptr || !preset->is_string()) return keys;  // what is not a string is told by the reader
  attempt("/engine/preset", errors, [&] {
    const EnginePreset e = load_engine(preset->as_string(), search_path_for(document).folders);
    if (!e.settings.is_object()) return;
    Value below = Value::object();
    for (const Value::Member& m : e.settings.members()) {
      if (m.first == "policy") {
        below["policy"] = m.second;
      } else if (is_slot(m.first)) {
        below["policy"][m.first] = m.second;
      } else {
        below["engine"][m.first] = m.second;
        if (engine->find(m.first) == nullptr) keys.push_back(m.first);
      }
    }
    document.value = merged(below, document.value);
    document.value.anchor("");
  });
  return keys;
}

KvConfig kv_config(const DeploymentParts& d, const EngineConfig& engine, const KvPolicy& policy) {
  KvConfig kv = d.kv;
  kv.watermark = policy.watermark();
  kv.contiguous = policy.contiguous();
  if (const Tokens own = policy.block_tokens(); own > Tokens{}) {
    kv.total = Blocks{kv.total.value() * kv.block_tokens.value() / own.value()};
    kv.block_tokens = own;
  }
  const std::int64_t per_token = std::max<std::int64_t>(1, d.kv_bytes_per_token.value());
  kv.host_tokens = Tokens{engine.swap_space.value() / per_token};
  kv.prefix = engine.prefix_cache == "hash"    ? PrefixKind::kHash
              : engine.prefix_cache == "radix" ? PrefixKind::kRadix
                                               : PrefixKind::kNone;
  kv.host_prefix = Blocks{static_cast<std::int64_t>(engine.tier.size / static_cast<double>(per_token)) /
                          kv.block_tokens.value()};
  return kv;
}

DeploymentParts make_deployment(const RunConfig& c, const Value& policies, ErrorList& errors) {
  DeploymentParts parts;
  const std::size_t before = errors.lines().size();
  const ModelChoice model = read_model(c.model, errors);
  const HardwareChoice hardware = read_hardware(c.hardware, errors);
  const auto& folders = c.search.folders;
  ModelShape shape;
  if (!model.name.empty()) attempt("/model", errors, [&] { shape = load_model(model.name, folders); });
  Hardware device;
  if (!hardware.name.empty()) attempt("/hardware", errors, [&] { device = load_hardware(hardware.name, folders); });
  if (errors.lines().size() == before) {
    attempt("/model", errors, [&] {
      check_experts(shape, device, {static_cast<int>(c.cluster.tp), static_cast<int>(c.cluster.pp)});
    });
  }
  if (shape.max_position > 0 && c.engine.max_model_len > shape.max_position) {
    errors.add("/engine/max_model_len", "expected at most " + std::to_string(shape.max_position) +
                                            ", the context of \"" + shape.name + "\", got " +
                                            std::to_string(c.engine.max_model_len));
  }
  if (errors.lines().size() > before) return parts;
  if (hardware.is_profile()) {
    const Parallel split{static_cast<int>(c.cluster.tp), static_cast<int>(c.cluster.pp)};
    attempt("/hardware/cost", errors, [&] { load_profile(hardware.cost, folders).entry(shape, device, split); });
    if (errors.lines().size() > before) return parts;
  }
  Variants variants = c.engine.variants;
  if (model.fp8_cache() && variants.format.name == KvFormat::Name::kFp16) variants.format.name = KvFormat::Name::kFp8;
  attempt("/engine/kernels", errors, [&] { VariantCost(variants, device); });
  if (errors.lines().size() > before) return parts;

  std::string engine = c.engine.preset.empty() ? std::string(kDefaultEngine) : c.engine.preset;
  try {
    load_engine(engine, folders);
  } catch (const ConfigError&) {  // told by apply_preset; the rest can still be checked
    engine = kDefaultEngine;
  }
  DeploymentRequest r;
  r.model = model.name;
  r.hardware = hardware.name;
  r.variants = variants;
  r.host_from_hardware = c.engine.preset.empty();
  r.whole_steps = hardware.cost == "steps";
  r.host_bytes_per_s = c.engine.tier.bytes_per_s;
  if (hardware.is_profile()) r.profile = hardware.cost;
  r.engine = engine;
  r.parallel = {static_cast<int>(c.cluster.tp), static_cast<int>(c.cluster.pp)};
  r.dtype = model.dtype;
  r.folders = folders;
  r.memory.utilization = c.engine.gpu_memory_utilization;
  r.memory.block_tokens = c.engine.block_size;
  r.memory.max_batch_tokens = limit_of(policies, "token_budget", r.memory.max_batch_tokens);
  r.memory.max_sequences = limit_of(policies, "max_running", r.memory.max_sequences);
  attempt("/model", errors, [&] { parts.hardware = std::make_shared<Deployment>(deploy(r)); });
  if (parts.hardware == nullptr) return parts;
  const Deployment& d = *parts.hardware;
  parts.cost = d.cost.get();
  if (d.steps != nullptr) parts.cost = d.steps.get();
  if (d.profile != nullptr) parts.cost = d.profile.get();
  fill_facts(d, c, model, variants, parts.facts);
  check_validation(d.hardware, c, hardware.cost, parts.facts);
  parts.facts.batch_limit = limit_of(policies, "max_running", 0);
  parts.kv.total = Blocks{parts.facts.blocks};
  parts.kv.block_tokens = Tokens{parts.facts.block_tokens};
  parts.kv_bytes_per_token = Bytes{static_cast<std::int64_t>(parts.facts.kv_bytes_per_token)};
  const double block_bytes = parts.facts.kv_bytes_per_token * static_cast<double>(parts.facts.block_tokens);
  if (!c.engine.tier.name.empty() && c.engine.tier.size < block_bytes) {
    errors.add("/engine/kv_tiers/0/size", "expected room for at least one KV block, " +
                                              std::to_string(static_cast<std::int64_t>(block_bytes)) + " bytes, got " +
                                              std::to_string(static_cast<std::int64_t>(c.engine.tier.size)));
  }
  parts.inputs = {{"model", d.model.name, d.model.origin, ""},
                  {"hardware", d.hardware.name, d.hardware.origin, ""},
                  {"engine", d.engine.name, d.engine.origin, ""}};
  parts.resolved_model["name"] = d.model.name;
  parts.resolved_model["dtype"] = model.dtype;
  parts.resolved_model["kv_dtype"] = model.kv_dtype;
  parts.resolved_hardware["name"] = d.hardware.name;
  parts.resolved_hardware["cost"] = hardware.cost;
  return parts;
}

}  // namespace orrery
