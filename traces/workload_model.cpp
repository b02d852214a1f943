#include "traces/workload_model.hpp"

#include <algorithm>
#include <filesystem>

#include "sim/config/names.hpp"
#include "traces/builtin_models.hpp"

namespace orrery {
namespace {

QuantileGrid positive_grid(const Value& v) {
  QuantileGrid g = QuantileGrid::from_value(v);
  if (g.at(0) < 1) throw ConfigError(v.where() + "/x: lengths start at 1");
  return g;
}

double fraction(const Value& v) {
  const double x = v.as_double();
  if (!(x >= 0 && x <= 1)) throw ConfigError(v.where() + ": expected a fraction in [0, 1]");
  return x;
}

ReuseModel reuse_from(const Value& v) {
  ReuseModel r;
  r.block_tokens = v.at("block_tokens").as_int();
  if (r.block_tokens < 1 || r.block_tokens > 65536) throw ConfigError(v.where() + "/block_tokens: expected 1 to 65536");
  r.root_share = fraction(v.at("root_share"));
  for (const Value& share : v.at("continuing_by_prompt").items()) r.continuing.push_back(fraction(share));
  for (const Value& grid : v.at("shared_thousandths_by_prompt").items())
    r.shared.push_back(QuantileGrid::from_value(grid));
  r.age = positive_grid(v.at("age_requests"));
  if (r.continuing.empty() || r.continuing.size() != r.shared.size()) {
    throw ConfigError(v.where() + ": continuing_by_prompt and shared_thousandths_by_prompt must be equally long");
  }
  for (const QuantileGrid& g : r.shared) {
    if (g.max() > 1000) throw ConfigError(v.where() + "/shared_thousandths_by_prompt: at most 1000");
  }
  if (r.age.max() > 1'000'000) throw ConfigError(v.where() + "/age_requests: at most 1000000");
  return r;
}

Value reuse_to(const ReuseModel& r) {
  Value v = Value::object();
  v["block_tokens"] = r.block_tokens;
  v["root_share"] = r.root_share;
  Value continuing = Value::array(), shared = Value::array();
  for (double c : r.continuing) continuing.push_back(c);
  for (const QuantileGrid& g : r.shared) shared.push_back(g.to_value());
  v["continuing_by_prompt"] = std::move(continuing);
  v["shared_thousandths_by_prompt"] = std::move(shared);
  v["age_requests"] = r.age.to_value();
  return v;
}

}  // namespace

double WorkloadModel::mean_output() const {
  double sum = 0;
  for (const QuantileGrid& g : output) sum += g.mean();
  return sum / static_cast<double>(output.size());
}

double WorkloadModel::output_cdf(std::int64_t x) const {
  double sum = 0;
  for (const QuantileGrid& g : output) sum += g.cdf(x);
  return sum / static_cast<double>(output.size());
}

WorkloadModel WorkloadModel::from_value(const Value& v) {
  WorkloadModel m;
  m.name = v.at("name").as_string();
  m.source = v.at("source").as_string();
  m.prompt = positive_grid(v.at("prompt"));
  for (const Value& grid : v.at("output_by_prompt").items()) m.output.push_back(positive_grid(grid));
  if (m.output.empty()) throw ConfigError(v.at("output_by_prompt").where() + ": must not be empty");
  if (const Value* arrival = v.find("arrival")) {
    m.rate = arrival->at("rate").as_double();
    m.cv = arrival->at("cv").as_double();
    if (!(m.rate > 0) || !(m.cv > 0 && m.cv <= 100))
      throw ConfigError(arrival->where() + ": expected rate > 0, cv in (0, 100]");
  }
  if (const Value* reuse = v.find("reuse")) m.reuse = reuse_from(*reuse);
  return m;
}

Value WorkloadModel::to_value() const {
  Value v = Value::object();
  v["name"] = name;
  v["source"] = source;
  if (rate > 0) {
    Value arrival = Value::object();
    arrival["rate"] = rate;
    arrival["cv"] = cv;
    v["arrival"] = std::move(arrival);
  }
  v["prompt"] = prompt.to_value();
  Value grids = Value::array();
  for (const QuantileGrid& g : output) grids.push_back(g.to_value());
  v["output_by_prompt"] = std::move(grids);
  if (reuse) v["reuse"] = reuse_to(*reuse);
  return v;
}

std::vector<std::string> builtin_workload_models() {
  std::vector<std::string> names;
  for (const BuiltinModel& m : builtin_models()) names.emplace_back(m.name);
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view builtin_workload_model(std::string_view name) {
  for (const BuiltinModel& m : builtin_models()) if (m.name == name) return m.json;
  return {};
}

WorkloadModel find_workload_model(std::string_view name, const SearchPath& path) {
  for (const std::string& file : {std::string(name) + ".json", std::string(name)}) {
    const auto found = path.find(file);
    if (found && std::filesystem::is_regular_file(*found)) return WorkloadModel::from_value(parse_json_file(*found));
  }
  if (const std::string_view json = builtin_workload_model(name); !json.empty()) {
    return WorkloadModel::from_value(parse_json(json, "built-in " + std::string(name)));
  }
  throw ConfigError(unknown_name("workload model", name, builtin_workload_models()));
}

}  // namespace orrery
