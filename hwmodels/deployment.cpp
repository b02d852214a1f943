#include "hwmodels/deployment.hpp"

#include <algorithm>

#include "sim/config/names.hpp"
#include "sim/config/units.hpp"

namespace orrery {
namespace {

void refuse_other_types(const DeploymentRequest& r) {
  for (const auto& [key, value] :
       {std::pair<const char*, const std::string&>{"dtype", r.dtype}, {"kv_dtype", r.kv_dtype}}) {
    if (value == "bf16" || value == "fp16" || value == "auto") continue;
    const bool reserved = value == "fp8" || value == "int8" || value == "int4" || value == "fp4";
    throw ConfigError(std::string(key) + " \"" + value + "\": " +
                      (reserved ? "not available in this version" : "expected bf16 or fp16"));
  }
}

std::string percent(double x) { return format_number(static_cast<double>(static_cast<int>(x * 10 + 0.5)) / 10) + " %"; }

std::vector<std::string> provenance_of(const Deployment& d) {
  const Hardware& h = d.hardware;
  std::vector<std::string> lines{"model " + d.model.name + ": " + d.model.source + " (" + d.model.origin + ")"};
  std::string fit = "hardware " + h.name + ": " + std::string(name(h.grade)) + ", " + h.fit_source + ", " + h.fit_date;
  if (h.grade == Grade::kDatasheet) fit += "; not calibrated";
  else {
    const bool whole_prompts = h.prefill.op == Op::kPrefill;
    fit += "; held-out error: gemm " + percent(h.gemm.mape) + ", prefill " + percent(h.prefill.mape) +
           (whole_prompts ? " (behind a cached context: assumed, counted outside the range)" : "") + ", decode " +
           percent(h.decode.mape) + (d.model.experts > 0 ? ", experts " + percent(h.experts->mape) : "");
  }
  lines.push_back(std::move(fit));
  if (d.steps != nullptr) {
    const StepLaw& law = d.steps->law();
    lines.back() = "hardware " + h.name + ": measured, whole steps of " + d.model.name + ", " + h.fit_date +
                   "; held-out error: steps " + percent(law.mape) + " (p95 " + percent(law.p95) + ")";
  }
  lines.push_back(
      "engine " +
      (d.hardware.host && d.engine.host.source == d.hardware.host->source ? "of the calibration" : d.engine.name) +
      ": " + d.engine.host.source);
  for (const std::string& note : d.cost->variant_cost().notes()) lines.push_back("engine kernels: " + note);
  lines.push_back("power: " + h.power.source + ", " + h.power.date);
  lines.push_back(h.price.usd_per_hour > 0 ? "price: " + h.price.source + ", " + h.price.date : "price: not known");
  return lines;
}

Shape shape_from(Op op, const std::map<std::string, double>& set) {
  const auto names = shape_names(op);
  Shape x{};
  std::string errors;
  for (std::size_t d = 0; d < names.size(); ++d) {
    const auto found = set.find(std::string(names[d]));
    const bool optional = op == Op::kPrefill && names[d] == "context";
    if (found != set.end()) x[d] = found->second;
    if (found == set.end() ? !optional : !(x[d] > 0 || (optional && x[d] == 0))) {
      errors +=
          std::string(errors.empty() ? "" : "\n") + "cost: " + std::string(names[d]) + ": expected a positive number";
    }
  }
  const std::vector<std::string> known(names.begin(), names.end());
  for (const auto& [key, value] : set) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      errors += std::string(errors.empty() ? "" : "\n") + "cost: " + unknown_name("key", key, known);
    }
  }
  if (!errors.empty()) throw ConfigError(errors);
  return x;
}

OperatorQuote quote_all_reduce(const Hardware& h, const std::map<std::string, double>& set) {
  const auto gpus = set.find("gpus"), bytes = set.find("bytes");
  if (gpus == set.end() || bytes == set.end() || set.size() != 2 || !(gpus->second >= 2) || !(bytes->second > 0)) {
    throw ConfigError("cost: all-reduce takes gpus (at least 2) and bytes");
  }
  const int count = static_cast<int>(gpus->second);
  OperatorQuote q;
  q.seconds = q.low_seconds = q.high_seconds = h.all_reduce_seconds(count, bytes->second);
  q.bytes_per_s = bytes->second / q.seconds;
  q.grade = h.grade;
  q.in_range = h.all_reduce_fitted(count);
  for (const AllReduce& a : h.all_reduce) {
    if (a.gpus != count || h.grade == Grade::kDatasheet) continue;
    q.low_seconds = q.seconds / (1 + 2 * a.mape / 100);
    q.high_seconds = q.seconds * (1 + 2 * a.mape / 100);
  }
  return q;
}

const StepLaw& measured_steps(const Hardware& h, const ModelShape& m) {
  for (const MeasuredSteps& s : h.whole_steps) {
    if (s.model == m.name && s.parameters == m.parameters()) return s.law;
  }
  throw ConfigError("hardware \"" + h.name + "\": has no measured steps of model \"" + m.name + "\"");
}

void use_profile(const DeploymentRequest& r, Deployment& d) {
  const Profile profile = load_profile(r.profile, r.folders);
  d.engine.host.source = "not counted: the times of cost profile " + profile.name + " include it";
  d.profile = std::make_unique<ProfileCostModel>(profile.entry(d.model, d.hardware, d.parallel), d.model, d.hardware,
                                                 d.parallel);
}

/// In place of the operators' line.
std::string profile_line(const DeploymentRequest& r, const Deployment& d) {
  const Profile profile = load_profile(r.profile, r.folders);
  const ProfileEntry& e = profile.entry(d.model, d.hardware, d.parallel);
  const std::string line = "cost profile " + profile.name + ": fitted, " + profile.source + ", " + profile.date;
  if (e.prefill_error == 0) return line + "; left-out error: not published";
  return line + "; left-out error: prompt " + percent(e.prefill_error) + ", token " + percent(e.decode_error);
}

}  // namespace

Deployment deploy(const DeploymentRequest& r) {
  refuse_other_types(r);
  std::string errors;
  Deployment d;
  const auto attempt = [&](auto&& load) {
    try {
      load();
    } catch (const ConfigError& e) {
      errors += (errors.empty() ? "" : "\n") + std::string(e.what());
    }
  };
  attempt([&] { d.model = load_model(r.model, r.folders); });
  attempt([&] { d.hardware = load_hardware(r.hardware, r.folders); });
  attempt([&] { d.engine = load_engine(r.engine, r.folders); });
  if (!errors.empty()) throw ConfigError(errors);
  d.parallel = r.parallel;
  if (r.host_bytes_per_s > 0) {
    d.hardware.specs.pcie_bytes_per_s = r.host_bytes_per_s / (r.parallel.tp * r.parallel.pp);
    d.hardware.pcie_efficiency = 1;
  }
  check_experts(d.model, d.hardware, d.parallel);
  if (d.hardware.all_reduce.empty() && r.parallel.tp * r.parallel.pp > 1) {
    throw ConfigError("hardware \"" + d.hardware.name + "\": no link was measured, so tp and pp must be 1");
  }
  MemoryOptions memory = r.memory;
  memory.format = r.variants.format;
  if (r.variants.layout.name == KvLayout::Name::kVirtual) {
    const std::int64_t heads = std::max<std::int64_t>(1, d.model.kv_heads / r.parallel.tp);
    memory.block_tokens = virtual_block_tokens(r.variants.layout, r.variants.format, heads, d.model.head_dim,
                                               d.hardware.specs.value_bytes);
  }
  if (memory.reserved_bytes == 0 && r.reserved_from_engine) memory.reserved_bytes = d.engine.reserved_bytes;
  d.kv = kv_capacity(d.model, d.hardware, d.parallel, memory);
  if (r.host_from_hardware && d.hardware.host) d.engine.host = *d.hardware.host;
  d.cost = std::make_unique<OperatorCostModel>(d.model, d.hardware, d.parallel, d.engine.host, r.variants,
                                               d.kv.block_tokens);
  if (r.whole_steps) {
    StepLaw law = measured_steps(d.hardware, d.model);
    if (r.host_bytes_per_s > 0) law.host_bytes_per_s = r.host_bytes_per_s;
    d.steps = std::make_unique<StepCostModel>(law);
  }
  if (!r.profile.empty()) use_profile(r, d);
  d.usd_per_hour = d.hardware.price.usd_per_hour * d.cost->devices();
  d.provenance = provenance_of(d);
  if (d.profile != nullptr) d.provenance.at(1) = profile_line(r, d);
  return d;
}

OperatorQuote quote(const Hardware& h, std::string_view op, const std::map<std::string, double>& set) {
  if (op == "all-reduce") return quote_all_reduce(h, set);
  const auto found = std::find_if(kOps.begin(), kOps.end(), [&](Op o) { return name(o) == op; });
  if (found == kOps.end()) throw ConfigError(unknown_name("operator", op, {"gemm", "prefill", "decode", "all-reduce"}));
  const Shape x = shape_from(*found, set);
  const OperatorModel& model = h.operator_model(*found);
  OperatorQuote q;
  q.seconds = model.seconds(x);
  q.flops_per_s = law_flops(*found, x) / q.seconds;
  q.bytes_per_s = law_bytes(*found, x) * h.specs.value_bytes / 2 / q.seconds;
  q.grade = h.grade;
  q.in_range = model.in_range(x);
  if (h.grade != Grade::kDatasheet) {
    q.low_seconds = q.seconds / (1 + model.p95 / 100);
    q.high_seconds = q.seconds * (1 + model.p95 / 100);
  }
  return q;
}

}  // namespace orrery
