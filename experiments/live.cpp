#include "experiments/live.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>

#include "calibrate/live/cpu_device.hpp"
#include "calibrate/live/cuda_device.hpp"
#include "sim/config/names.hpp"

namespace orrery {
namespace {

struct LiveChoice {
  std::string name;
  LiveDeviceOptions options;
};

/// /model of a live executor: a name, or {"name", "dtype", "weights", "seed"}.
LiveChoice read_live_model(const std::string& executor, const RunConfig& c, ErrorList& errors) {
  LiveChoice m;
  m.options.dtype = executor == "cpu" ? "fp32" : "bf16";
  if (c.model.is_string()) {
    m.name = c.model.as_string();
    return m;
  }
  ObjectReader r(c.model, errors);
  r.string("name", m.name);
  if (m.name.empty()) errors.add("/model/name", "missing key");
  const bool given = r.string("dtype", m.options.dtype);
  if (given && m.options.dtype != "bf16" && (executor != "cpu" || m.options.dtype != "fp32")) {
    r.error("dtype", executor == "cpu"
                         ? "expected \"fp32\" or \"bf16\" for a live executor, got \"" + m.options.dtype + "\""
                         : "expected \"bf16\" for executor cuda, got \"" + m.options.dtype + "\"");
  }
  if (std::string kv; r.string("kv_dtype", kv) && kv != "auto" && kv != m.options.dtype)
    r.error("kv_dtype", "a live executor keeps KV in the format of the weights");
  r.string("weights", m.options.weights);
  r.finish();
  return m;
}

void check_parallel(const RunConfig& c, ErrorList& errors) {
  for (const auto& [key, n] : {std::pair{"tp", c.cluster.tp}, std::pair{"pp", c.cluster.pp}}) {
    if (n != 1)
      errors.add(pointer_to("/cluster", key), "a live executor runs a replica on one device (only 1 is possible)");
  }
  if (c.engine.kv_blocks == 0) errors.add("/engine/kv_blocks", "a live executor needs the number of KV blocks");
  if (c.engine.kv_blocks > (1 << 24)) errors.add("/engine/kv_blocks", "expected at most 2^24 for a live executor");
  const Variants& v = c.engine.variants;
  if (v.format.name != KvFormat::Name::kFp16) {
    errors.add("/engine/kv_format", "a live executor keeps KV in the format of the weights");
  }
  if (!c.engine.tier.name.empty()) {
    errors.add("/engine/kv_tiers", "a live executor keeps cached prefixes on the device only");
  }
  if (v.layout.name == KvLayout::Name::kVirtual) {
    errors.add("/engine/kv_layout", "\"virtual-contiguous\" is not available on a live executor in this version");
  }
  if (v.kernels.attention != Kernels::Attention::kDevice || v.kernels.softmax != Kernels::Softmax::kSync ||
      v.kernels.gemm != Kernels::Gemm::kCublas) {
    errors.add("/engine/kernels", "a live executor runs its own kernels; the choice is the cost model's");
  }
  if (c.replication.model_error) {
    errors.add("/replication/model_error", "a live executor measures its steps; there is no cost model to draw");
  }
}

std::int64_t limit_of(const Value& policies) {
  const Value* limit = policies.at("batching").find("max_running");
  return limit != nullptr && limit->is_number() ? limit->as_int() : 0;
}

void fill_facts(const LiveModel& m, const LiveChoice& choice, const RunConfig& c, DeploymentParts& parts) {
  DeploymentFacts& f = parts.facts;
  const double bytes = choice.options.dtype == "fp32" ? 4 : 2;
  f.model = m.name;
  f.dtype = choice.options.dtype;
  const std::string hardware = parts.device->hardware();
  f.hardware = (hardware.empty() ? processor_name() : hardware) + " (executor " + parts.device->name() + ")";
  f.executor = parts.device->name();
  f.clock = parts.device->clock();
  f.cost = "measured while it ran: " + f.clock;
  f.error = f.cost;
  f.provenance = {"model " + m.name + ": " + m.source + " (" + m.origin + ")",
                  "weights: " + (choice.options.weights.empty() ? "from seed " + std::to_string(choice.options.seed)
                                                                : choice.options.weights),
                  "hardware: " + f.hardware + "; " + f.cost};
  f.replicas = c.cluster.replicas;
  f.weight_bytes_per_gpu = bytes * static_cast<double>(m.parameters());
  f.kv_bytes_per_token = bytes * static_cast<double>(m.kv_elements_per_token());
  f.block_tokens = c.engine.block_size;
  f.blocks = c.engine.kv_blocks;
  f.kv_source = "pinned by /engine/kv_blocks";
  f.max_context = std::min<std::int64_t>(c.engine.max_model_len > 0 ? c.engine.max_model_len : m.shape.max_positions,
                                         m.shape.max_positions);
  f.engine = c.engine.preset.empty() ? "the executor's own loop" : c.engine.preset;
  f.host_engine = "the executor";
  f.host_source = "executor " + f.executor + ", time measured: " + f.clock;
  if (c.cluster.replicas > 1) f.not_modelled.emplace_back("replicas side by side: they ran in turn on one device");
  f.not_modelled.emplace_back("network between client and engine; time of the scheduler itself");
  if (const Value* given = c.document.value.find("hardware"); given != nullptr) {
    f.not_modelled.push_back("/hardware " + to_json(*given, -1) + ": steps were measured on this machine");
  }
}

/// One that is alive is shared: its weights may fill most of a device's memory.
std::shared_ptr<const LiveDevice> device_for(const std::string& executor, const LiveModel& model,
                                             const LiveDeviceOptions& o) {
  static std::mutex mutex;
  static std::map<std::string, std::weak_ptr<const LiveDevice>> alive;
  const std::string key = executor + '\n' + model.name + '\n' + model.origin + '\n' + o.dtype + '\n' + o.weights +
                          '\n' + std::to_string(o.seed);
  const std::lock_guard lock(mutex);
  if (auto device = alive[key].lock()) return device;
  std::shared_ptr<const LiveDevice> made = executor == "cpu" ? make_cpu_device(model, o) : make_cuda_device(model, o);
  alive[key] = made;
  return made;
}

}  // namespace

std::string processor_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (line.rfind("model name", 0) == 0 && colon + 2 < line.size()) return line.substr(colon + 2);
  }
  return "unknown processor";
}

DeploymentParts make_live_deployment(const std::string& executor, const RunConfig& c, const Value& policies,
                                     ErrorList& errors) {
  if (executor != "cpu") {
    if (const std::string reason = cuda_missing(); !reason.empty())
      throw ConfigError("executor cuda: " + reason + "; executor cpu runs here");
  }
  DeploymentParts parts;
  const std::size_t before = errors.lines().size();
  LiveChoice choice = read_live_model(executor, c, errors);
  check_parallel(c, errors);
  if (!choice.options.weights.empty()) {
    if (const auto found = c.search.find(choice.options.weights)) choice.options.weights = *found;
    else errors.add("/model/weights", "no such file: \"" + choice.options.weights + "\"");
  }
  if (errors.lines().size() > before) return parts;
  try {
    const LiveModel model = live_model(choice.name, c.search.folders);
    parts.device = device_for(executor, model, choice.options);
    fill_facts(model, choice, c, parts);
    parts.inputs = {{"model", model.name, model.origin, ""}};
  } catch (const ConfigError& e) {
    errors.add("/model", e.what());
    return parts;
  }
  parts.facts.batch_limit = limit_of(policies);
  parts.kv.total = Blocks{parts.facts.blocks};
  parts.kv.block_tokens = Tokens{parts.facts.block_tokens};
  parts.kv_bytes_per_token = Bytes{static_cast<std::int64_t>(parts.facts.kv_bytes_per_token)};
  parts.resolved_model["name"] = parts.facts.model;
  parts.resolved_model["dtype"] = parts.facts.dtype;
  if (!choice.options.weights.empty()) parts.resolved_model["weights"] = choice.options.weights;
  parts.resolved_hardware["name"] = "this machine";
  return parts;
}

}  // namespace orrery
