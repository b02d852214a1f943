#include "hwmodels/hardware.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/math.hpp"

namespace orrery {
namespace {

double optional_number(const Value& v, std::string_view key, double otherwise = 0) {
  const Value* found = v.find(key);
  return found == nullptr || found->is_null() ? otherwise : found->as_double();
}

std::string optional_string(const Value& v, std::string_view key) {
  const Value* found = v.find(key);
  return found == nullptr ? "" : found->as_string();
}

double positive(const Value& v, std::string_view key) {
  const double x = v.at(key).as_double();
  if (!(x > 0)) throw ConfigError(v.at(key).where() + ": expected a positive number");
  return x;
}

Specs specs_from(const Value& v) {
  return {.flops_per_s = positive(v, "bf16_tflops") * 1e12,
          .memory_bytes = v.find("visible_gib") ? positive(v, "visible_gib") * 0x1p30 : positive(v, "memory_gb") * 1e9,
          .memory_bytes_per_s = positive(v, "memory_gb_per_s") * 1e9,
          .cache_bytes = optional_number(v, "cache_mb") * 1e6,
          .link_bytes_per_s = optional_number(v, "link_gb_per_s") * 1e9,
          .pcie_bytes_per_s = optional_number(v, "pcie_gb_per_s", 32) * 1e9,
          .network_bytes_per_s = optional_number(v, "network_gb_per_s") * 1e9,
          .sm_count = optional_number(v, "sm_count", 108),
          .tdp_w = optional_number(v, "tdp_w"),
          .value_bytes = optional_number(v, "value_bytes", 2),
          .source = optional_string(v, "source")};
}

AlphaBeta alpha_beta_from(const Value& v) {
  return {positive(v, "alpha_s"), positive(v, "bytes_per_s"), positive(v, "p")};
}

PowerModel power_from(const Value& v) {
  return {.idle_w = v.at("idle_w").as_double(),
          .active_w = v.at("active_w").as_double(),
          .limit_w = positive(v, "limit_w"),
          .joules_per_flop = v.at("joules_per_flop").as_double(),
          .joules_per_byte = v.at("joules_per_byte").as_double(),
          .source = v.at("source").as_string(),
          .date = v.at("date").as_string()};
}

ClockFacts clocks_from(const Value& v) {
  ClockFacts c{{}, positive(v, "exponent"), v.at("idle_fraction").as_double(), v.at("source").as_string()};
  for (const Value& item : v.at("mhz").items()) {
    c.mhz.push_back(static_cast<int>(item.as_int()));
    const bool descends = c.mhz.size() < 2 || c.mhz.back() < c.mhz[c.mhz.size() - 2];
    if (c.mhz.back() < 1 || !descends) throw ConfigError(item.where() + ": expected positive clocks, descending");
  }
  return c;
}

/// How wrong a scaled device may be, as the standard deviation of a draw: the mean absolute error found where both a
/// table and a scaled model exist (B200 and H100 from H200, A100 from H200, H200 from A100; docs/COST_MODEL.md).
double scaled_sigma(Op op) { return op == Op::kGemm ? 20 : op == Op::kPrefill ? 22 : 30; }

/// Roofs of the fitted device, stretched to this one's data sheet. Latencies stay, no sheet states them; so does the
/// residual, which takes a quarter off the error within a family and costs nothing across.
OperatorModel scaled(OperatorModel m, const Specs& from, const Specs& to) {
  const double flops = to.flops_per_s / from.flops_per_s, bytes = to.memory_bytes_per_s / from.memory_bytes_per_s;
  const auto meaning = coefficients(m.op);
  for (std::size_t i = 0; i < m.theta.size(); ++i) {
    if (meaning[i].kind == Coefficient::Kind::kFlops) m.theta[i] *= flops;
    if (meaning[i].kind == Coefficient::Kind::kBandwidth) m.theta[i] *= bytes;
    if (meaning[i].kind == Coefficient::Kind::kPerUnit) m.theta[i] /= bytes;
    // Time of a tile on one processor: the chip's rate is shared by more or fewer of them.
    if (meaning[i].kind == Coefficient::Kind::kPerSm) m.theta[i] *= to.sm_count / from.sm_count / flops;
  }
  m.sm_count = to.sm_count;
  m.mape = m.p95 = 0;
  m.sigma = scaled_sigma(m.op);
  return m;
}

void scale_from(Hardware& h, const Hardware& base) {
  h.gemm = scaled(base.gemm, base.specs, h.specs);
  h.prefill = scaled(base.prefill, base.specs, h.specs);
  h.decode = scaled(base.decode, base.specs, h.specs);
  const bool pcie = h.specs.link_bytes_per_s <= 0;
  const double link = (pcie ? h.specs.pcie_bytes_per_s : h.specs.link_bytes_per_s) / base.specs.link_bytes_per_s;
  h.all_reduce = base.all_reduce;
  for (AllReduce& a : h.all_reduce) {
    a.mape = 0;
    for (AlphaBeta& way : a.ways) way.bytes_per_s *= link;
  }
  h.send_recv = base.send_recv;
  h.send_recv.bytes_per_s *= link;
  h.fit_source = "scaled by data sheet from " + base.name + " (" + base.fit_source + ")";
  h.fit_date = base.fit_date;
}

void read_fit(Hardware& h, const Value& v) {
  const Value& operators = v.at("operators");
  const auto by_rows = [&](const char* key) { return optional_string(operators.at(key), "law") == "rows"; };
  h.gemm = operator_from_json(by_rows("gemm") ? Op::kGemmRows : Op::kGemm, operators.at("gemm"));
  h.prefill = operator_from_json(by_rows("prefill") ? Op::kPrefillRows : Op::kPrefill, operators.at("prefill"));
  if (const Value* experts = operators.find("experts")) h.experts = operator_from_json(Op::kExperts, *experts);
  h.decode = operator_from_json(Op::kDecode, operators.at("decode"));
  for (const Value& entry : v.at("all_reduce").items()) {
    AllReduce a{static_cast<int>(entry.at("gpus").as_int()), {}, optional_number(entry, "mape_percent")};
    for (const Value& way : entry.at("ways").items()) a.ways.push_back(alpha_beta_from(way));
    h.all_reduce.push_back(std::move(a));
  }
  if (const Value* link = v.find("send_recv")) h.send_recv = alpha_beta_from(*link);
  h.fit_source = v.at("fit").at("source").as_string();
  h.fit_date = v.at("fit").at("date").as_string();
}

void read_measured(Hardware& h, const Value& v) {
  if (const Value* host = v.find("host")) h.host = host_terms_from_json(*host);
  h.pcie_efficiency = optional_number(v, "pcie_efficiency", h.pcie_efficiency);
  h.step_correction = optional_number(v, "step_correction", 1);
  h.map_group_s = optional_number(v, "map_group_s");
  if (const Value* variants = v.find("variants")) {
    h.variants = {optional_number(*variants, "unified_max"), optional_number(*variants, "fp8"),
                  optional_number(*variants, "kivi_4"), optional_number(*variants, "kivi_2")};
  }
  if (const Value* list = v.find("steps")) {
    for (const Value& s : list->items()) {
      h.whole_steps.push_back({s.at("model").as_string(), s.at("parameters").as_int(), step_law_from_json(s)});
    }
  }
}

Grade grade_from(const Value& v) {
  for (const Grade g : {Grade::kMeasured, Grade::kTuned, Grade::kFitted, Grade::kDatasheet}) {
    if (name(g) == v.as_string()) return g;
  }
  throw ConfigError(v.where() + ": expected measured, tuned, fitted or datasheet, got \"" + v.as_string() + "\"");
}

}  // namespace

double AlphaBeta::seconds(double bytes) const {
  const double move = bytes / bytes_per_s, high = std::max(alpha_s, move), low = std::min(alpha_s, move);
  if (low <= 0) return high;
  return high * fast_exp2(fast_log2(1 + fast_exp2(p * fast_log2(low / high))) / p);
}

double AllReduce::seconds(double bytes) const {
  double best = ways.front().seconds(bytes);
  for (const AlphaBeta& way : ways) best = std::min(best, way.seconds(bytes));
  return best;
}

const OperatorModel& Hardware::operator_model(Op op) const {
  return op == Op::kGemm ? gemm : op == Op::kPrefill ? prefill : decode;
}

bool Hardware::all_reduce_fitted(int gpus) const {
  return gpus == 1 ||
         std::any_of(all_reduce.begin(), all_reduce.end(), [&](const AllReduce& a) { return a.gpus == gpus; });
}

double Hardware::all_reduce_seconds(int gpus, double bytes) const {
  if (gpus <= 1 || all_reduce.empty()) return 0;
  for (const AllReduce& a : all_reduce) {
    if (a.gpus >= gpus) return a.seconds(bytes);
  }
  // More devices than were ever measured: a ring's latency grows with them, its traffic hardly.
  const AllReduce& last = all_reduce.back();
  const double steps = static_cast<double>(gpus - 1) / (last.gpus - 1);
  return last.seconds(bytes) + (steps - 1) * last.seconds(0);
}

OperatorModel operator_from_json(Op op, const Value& v) {
  OperatorModel m;
  m.op = op;
  for (const Coefficient& c : coefficients(op)) m.theta.push_back(positive(v.at("theta"), c.name));
  m.sm_count = positive(v, "sm_count");
  const auto names = feature_names(op);
  for (std::size_t d = 0; d < names.size(); ++d) {
    const auto& range = v.at("range_log2").at(names[d]).items();
    if (range.size() != 2) throw ConfigError(v.at("range_log2").at(names[d]).where() + ": expected [low, high]");
    m.low[d] = range[0].as_double();
    m.high[d] = range[1].as_double();
  }
  const Value& error = v.at("held_out_percent");
  m.mape = error.at("mape").as_double();
  m.p95 = error.at("p95").as_double();
  m.sigma = error.at("sigma").as_double();
  m.residual = residual_from_json(v.at("residual"));
  return m;
}

Value to_value(const OperatorModel& m) {
  Value v = Value::object();
  for (std::size_t i = 0; i < m.theta.size(); ++i) v["theta"][coefficients(m.op)[i].name] = m.theta[i];
  if (m.op == Op::kPrefillRows || m.op == Op::kGemmRows) v["law"] = "rows";
  v["sm_count"] = m.sm_count;
  const auto names = feature_names(m.op);
  for (std::size_t d = 0; d < names.size(); ++d) {
    Value range = Value::array();
    range.push_back(m.low[d]);
    range.push_back(m.high[d]);
    v["range_log2"][names[d]] = std::move(range);
  }
  v["held_out_percent"]["mape"] = m.mape;
  v["held_out_percent"]["p95"] = m.p95;
  v["held_out_percent"]["sigma"] = m.sigma;
  v["residual"] = to_value(m.residual);
  return v;
}

Hardware hardware_from_json(const Value& v, const std::vector<std::string>& folders) {
  Hardware h;
  h.name = v.at("name").as_string();
  h.grade = grade_from(v.at("grade"));
  h.specs = specs_from(v.at("specs"));
  h.power = power_from(v.at("power"));
  if (const Value* clocks = v.find("clocks")) h.clocks = clocks_from(*clocks);
  if (const Value* price = v.find("price")) {
    h.price = {price->at("usd_per_hour").as_double(), price->at("source").as_string(), price->at("date").as_string()};
  }
  h.attention_family = optional_string(v, "attention_family");
  read_measured(h, v);
  h.validations = records_from_json(v, h.stale_validations);
  h.scaled_from = optional_string(v, "scaled_from");
  if (h.scaled_from.empty()) read_fit(h, v);
  else scale_from(h, load_hardware(h.scaled_from, folders));
  return h;
}

Hardware load_hardware(std::string_view name, const std::vector<std::string>& folders) {
  const CatalogueEntry entry = find_entry(Catalogue::kGpus, name, folders);
  Hardware h = hardware_from_json(entry.value, folders);
  h.origin = entry.origin;
  return h;
}

}  // namespace orrery
