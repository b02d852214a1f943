#include "experiments/signals.hpp"

#include <algorithm>

#include "experiments/run_config.hpp"
#include "experiments/summary.hpp"
#include "sim/base/rng.hpp"
#include "sim/config/names.hpp"
#include "traces/signal_file.hpp"

namespace orrery {
namespace {

constexpr double kMaxValue = 1e9;
enum class Kind { kCarbon, kPrice, kPower };

SignalConfig read_signal_config(const Value& v, Kind kind, const std::vector<PoolConfig>& pools, ErrorList& errors) {
  SignalConfig s;
  s.pointer = v.pointer();
  Value object = v;
  if (v.is_string() || v.is_number()) {
    object = Value::object();
    object[v.is_string() ? "file" : "value"] = v;
  }
  ObjectReader r(object, errors, s.pointer);
  r.string("file", s.file);
  if (!r.number("value", s.value, {0, kMaxValue}) && s.file.empty() && !r.has("value") && !r.has("file"))
    errors.add(s.pointer, "expected a number, the name of a file, or an object with \"file\" or \"value\"");
  if (r.has("value") && r.has("file")) r.error("value", "stands beside a file");
  r.string("column", s.column);
  r.duration("start", s.start, {0, 9e6});
  if (kind == Kind::kCarbon) r.number("pue", s.pue, {1, 10});
  if (kind == Kind::kPower) r.string("domain", s.domain);
  if (kind == Kind::kPrice) s.pools = pool_indices(r, "pools", pools);
  r.finish();
  return s;
}

}  // namespace

SignalsConfig read_signals(ObjectReader& r, const std::vector<PoolConfig>& pools) {
  SignalsConfig out;
  ErrorList& errors = r.errors();
  if (const Value* carbon = r.take("carbon"); carbon != nullptr)
    out.carbon = read_signal_config(*carbon, Kind::kCarbon, pools, errors);
  const auto list = [&](std::string_view key, Kind kind, std::vector<SignalConfig>& to) {
    const Value* value = r.take(key);
    if (value == nullptr) return;
    if (!value->is_array()) return to.push_back(read_signal_config(*value, kind, pools, errors));
    for (const Value& one : value->items()) to.push_back(read_signal_config(one, kind, pools, errors));
  };
  list("price", Kind::kPrice, out.price);
  list("power", Kind::kPower, out.power);
  return out;
}

StepSignal load_signal(const SignalConfig& s, double per_unit, const SearchPath& search, std::vector<InputFact>& inputs,
                       ErrorList& errors) {
  const auto whole = [&](double value) { return static_cast<std::int64_t>(value * per_unit + 0.5); };
  if (s.file.empty()) return StepSignal(whole(s.value));
  const auto path = search.find(s.file);
  if (!path) {
    errors.add(s.pointer, "\"" + s.file + "\" not found in " + search.describe());
    return StepSignal(0);
  }
  try {
    const std::vector<SignalRow> rows = read_signal(*path, s.column);
    std::vector<StepSignal::Step> steps;
    std::uint64_t content = rows.size();
    const double start = to_seconds(s.start);
    for (const SignalRow& row : rows) {
      content = hash_combine(hash_combine(content, static_cast<std::uint64_t>(row.start_s * 1e6)),
                             static_cast<std::uint64_t>(whole(row.value)));
      const double at = row.start_s - start;
      if (at > 9e6) continue;   // beyond the horizon of a run
      if (at <= 0) steps.assign(1, {Time{}, whole(row.value)});
      else steps.push_back({Time{} + from_seconds(at), whole(row.value)});
    }
    inputs.push_back({"signal", s.file, *path, hex16(content)});
    return StepSignal(std::move(steps));
  } catch (const ConfigError& e) {
    errors.add(e);
    return StepSignal(0);
  }
}

}  // namespace orrery
