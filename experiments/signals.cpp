#include "experiments/signals.hpp"

#include <algorithm>
#include <tuple>

#include "experiments/operations.hpp"
#include "experiments/run_config.hpp"
#include "experiments/summary.hpp"
#include "sim/base/rng.hpp"
#include "sim/config/names.hpp"
#include "traces/signal_file.hpp"

namespace orrery {
namespace {

constexpr double kMaxValue = 1e9, kMaxBandwidth = 1e15;
enum class Kind { kCarbon, kPrice, kPower, kBandwidth };

/// Of which link, or of whose instances.
void read_network(ObjectReader& r, const std::vector<PoolConfig>& pools, const std::vector<LinkConfig>& links,
                  SignalConfig& s) {
  if (r.has("pools")) {
    s.pools = pool_indices(r, "pools", pools);
    for (const auto* key : {"from", "to"})
      if (r.take(key) != nullptr) r.error(key, "names a link, `pools` the networks of instances; one of them");
  } else {
    std::tie(s.from, s.to) = read_link_names(r, pools, links);
  }
}

SignalConfig read_signal_config(const Value& v, Kind kind, const std::vector<PoolConfig>& pools,
                                const std::vector<LinkConfig>& links, ErrorList& errors) {
  SignalConfig s;
  s.pointer = v.pointer();
  Value object = v;
  if (v.is_string() || v.is_number()) {
    object = Value::object();
    object[v.is_string() ? "file" : "value"] = v;
  }
  ObjectReader r(object, errors, s.pointer);
  r.string("file", s.file);
  const Range range{0, kind == Kind::kBandwidth ? kMaxBandwidth : kMaxValue};
  const Dimension unit = kind == Kind::kBandwidth ? Dimension::kBytesPerSecond : Dimension::kNumber;
  if (!r.number("value", s.value, range, unit) && s.file.empty() && !r.has("value") && !r.has("file"))
    errors.add(s.pointer, "expected a number, the name of a file, or an object with \"file\" or \"value\"");
  if (r.has("value") && r.has("file")) r.error("value", "stands beside a file");
  r.string("column", s.column);
  r.duration("start", s.start, {0, 9e6});
  if (kind == Kind::kCarbon) r.number("pue", s.pue, {1, 10});
  if (kind == Kind::kPower) r.string("domain", s.domain);
  if (kind == Kind::kPrice) s.pools = pool_indices(r, "pools", pools);
  if (kind == Kind::kBandwidth) read_network(r, pools, links, s);
  r.finish();
  return s;
}

}  // namespace

namespace {

/// Each network has one signal.
void check_bandwidths(const std::vector<SignalConfig>& all, ErrorList& errors) {
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) {
      const bool link = all[i].from >= 0 && all[i].from == all[k].from && all[i].to == all[k].to;
      const bool pool = std::any_of(all[i].pools.begin(), all[i].pools.end(), [&](std::int32_t p) {
        return std::find(all[k].pools.begin(), all[k].pools.end(), p) != all[k].pools.end();
      });
      if (link || pool) errors.add(all[i].pointer, "the same network as " + all[k].pointer);
    }
}

}  // namespace

SignalsConfig read_signals(ObjectReader& r, const std::vector<PoolConfig>& pools,
                           const std::vector<LinkConfig>& links) {
  SignalsConfig out;
  ErrorList& errors = r.errors();
  if (const Value* carbon = r.take("carbon"); carbon != nullptr)
    out.carbon = read_signal_config(*carbon, Kind::kCarbon, pools, links, errors);
  const auto list = [&](std::string_view key, Kind kind, std::vector<SignalConfig>& to) {
    const Value* value = r.take(key);
    if (value == nullptr) return;
    if (!value->is_array()) return to.push_back(read_signal_config(*value, kind, pools, links, errors));
    for (const Value& one : value->items()) to.push_back(read_signal_config(one, kind, pools, links, errors));
  };
  list("price", Kind::kPrice, out.price);
  list("power", Kind::kPower, out.power);
  list("bandwidth", Kind::kBandwidth, out.bandwidth);
  check_bandwidths(out.bandwidth, errors);
  return out;
}

StepSignal load_signal(const SignalConfig& s, double per_unit, const SearchPath& search, std::vector<InputFact>& inputs,
                       ErrorList& errors, double most) {
  const auto whole = [&](double value) { return static_cast<std::int64_t>(value * per_unit + 0.5); };
  if (s.file.empty()) return StepSignal(whole(s.value));
  const auto path = search.find(s.file);
  if (!path) {
    errors.add(s.pointer, "\"" + s.file + "\" not found in " + search.describe());
    return StepSignal(0);
  }
  try {
    const std::vector<SignalRow> rows = read_signal(*path, s.column, most);
    std::vector<StepSignal::Step> steps;
    std::uint64_t content = rows.size();
    const double start = to_seconds(s.start);
    for (const SignalRow& row : rows) {
      content = hash_combine(content, static_cast<std::uint64_t>(row.start_s * 1e6));
      content = hash_combine(content, static_cast<std::uint64_t>(whole(row.value)));
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
