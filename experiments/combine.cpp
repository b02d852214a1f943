#include "experiments/combine.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>

#include "experiments/statistics.hpp"

namespace orrery {
namespace {

using Values = std::vector<const Value*>;

bool is_maximum(std::string_view key) {
  for (const std::string_view k :
       {"max", "max_running", "block_tokens", "blocks_total", "blocks_per_replica", "batch_limit"}) {
    if (k == key) return true;
  }
  return false;
}

/// Numbers that are given, not found.
bool is_given(std::string_view key) { return key == "limit_s" || key == "usd_per_hour"; }

Value worst(const Values& all, std::initializer_list<std::string_view> order) {
  for (const std::string_view w : order) {
    for (const Value* v : all) {
      if (v->as_string() == w) return Value(w);
    }
  }
  return *all.front();
}

Value combine_leaf(const Values& all, std::string_view key) {
  switch (all.front()->kind()) {
    case Value::Kind::kBool:
      return std::all_of(all.begin(), all.end(), [](const Value* v) { return v->as_bool(); });
    case Value::Kind::kInt: {
      std::int64_t out = 0;
      for (const Value* v : all) out = is_maximum(key) ? std::max(out, v->as_int()) : out + v->as_int();
      return out;
    }
    case Value::Kind::kDouble: {
      std::vector<double> numbers;
      for (const Value* v : all) numbers.push_back(v->as_double());
      return key == "max" ? *std::max_element(numbers.begin(), numbers.end()) : mean_of(numbers);
    }
    case Value::Kind::kString:
      if (key == "state") return worst(all, {"OVERLOADED", "BACKLOGGED", "STABLE"});
      if (key == "grade") return worst(all, {"datasheet", "fitted", "tuned", "measured"});
      return *all.front();
    default:
      return *all.front();
  }
}

Value combine(const Values& all, std::string_view key) {
  const Value& first = *all.front();
  if (!std::all_of(all.begin(), all.end(), [&](const Value* v) { return v->kind() == first.kind(); })) return first;
  if (first.is_object()) {
    Value out = Value::object();
    for (const Value::Member& m : first.members()) {
      Values parts;
      for (const Value* v : all) {
        if (const Value* p = v->find(m.first); p != nullptr) parts.push_back(p);
      }
      out[m.first] = combine(parts, m.first);
    }
    return out;
  }
  if (first.is_array()) {
    Value out = Value::array();
    for (std::size_t i = 0; i < first.items().size(); ++i) {
      Values parts;
      for (const Value* v : all) {
        if (i < v->items().size()) parts.push_back(&v->items()[i]);
      }
      out.push_back(combine(parts, ""));
    }
    return out;
  }
  return combine_leaf(all, key);
}

/// Every found number by its dotted key.
void flatten(const Value& v, const std::string& path, std::string_view key, std::map<std::string, double>& out) {
  if (v.is_object()) {
    for (const Value::Member& m : v.members())
      flatten(m.second, path.empty() ? m.first : path + "." + m.first, m.first, out);
  } else if (v.is_array()) {
    for (std::size_t i = 0; i < v.items().size(); ++i) flatten(v.items()[i], path + "." + std::to_string(i), "", out);
  } else if (v.kind() == Value::Kind::kDouble && key != "max" && !is_given(key)) {
    out[path] = v.as_double();
  }
}

using Table = std::vector<std::map<std::string, double>>;

Table flattened(const std::vector<Value>& bodies) {
  Table out;
  for (const Value& b : bodies) {
    out.emplace_back();
    flatten(b, "", "", out.back());
  }
  return out;
}

/// Sample variance of one value over runs; nothing if it is missing or not finite somewhere, or there are too few.
std::optional<double> variance(const std::vector<double>& x) {
  if (x.size() < 2) return std::nullopt;
  const double mean = mean_of(x);
  double squares = 0;
  for (const double v : x) squares += (v - mean) * (v - mean);
  const double out = squares / static_cast<double>(x.size() - 1);
  return std::isfinite(out) ? std::optional(out) : std::nullopt;
}

std::vector<double> column(const Table& table, const std::string& path) {
  std::vector<double> out;
  for (const auto& row : table) {
    if (const auto at = row.find(path); at != row.end()) out.push_back(at->second);
  }
  return out;
}

/// perturbed[i] - base[i], or - base[0] where that is the only one.
std::vector<double> differences(const Table& perturbed, const Table& base, const std::string& path) {
  const std::vector<double> a = column(perturbed, path), b = column(base, path);
  std::vector<double> out;
  if (b.empty() || a.size() != perturbed.size() || b.size() != base.size()) return out;
  for (std::size_t i = 0; i < a.size(); ++i) out.push_back(a[i] - b[b.size() == 1 ? 0 : std::min(i, b.size() - 1)]);
  return out;
}

std::string method_of(const Bodies& b) {
  const auto count = [](const std::vector<Value>& v) { return std::to_string(v.size()); };
  std::string out;
  if (!b.resamples.empty()) out = "block bootstrap of the trace, " + count(b.resamples) + " resamples";
  else if (b.base.size() > 1) out = "t over " + count(b.base) + " replications";
  if (!b.perturbed.empty()) {
    out += std::string(out.empty() ? "" : "; ") + "model error by " + count(b.perturbed) + " drawn cost models";
  }
  return out;
}

}  // namespace

Value combined(const std::vector<Value>& bodies) {
  Values all;
  for (const Value& b : bodies) all.push_back(&b);
  return all.size() == 1 ? bodies.front() : combine(all, "");
}

Spread spread_of(const Bodies& bodies) {
  Spread spread;
  spread.method = method_of(bodies);
  const Table base = flattened(bodies.base), resamples = flattened(bodies.resamples),
              perturbed = flattened(bodies.perturbed);
  const std::size_t k = std::max({base.size(), resamples.size(), perturbed.size()});
  if (k < 2) return spread;
  for (const auto& [path, ignored] : base.front()) {
    const std::vector<double> values = column(base, path);
    const double mean = mean_of(values);
    if (values.size() != base.size() || !std::isfinite(mean)) continue;
    const auto own = variance(values), drawn = variance(column(resamples, path)),
               model = variance(differences(perturbed, base, path));
    const double sampling =
        !resamples.empty() ? drawn.value_or(0) : own.value_or(0) / static_cast<double>(values.size());
    const double total = sampling + model.value_or(0);
    const double half = student_t975(static_cast<int>(k) - 1) * std::sqrt(total);
    if (!std::isfinite(half) || half <= 1e-12 * std::abs(mean)) continue;
    spread.intervals[path] = {mean - half, mean + half, sampling / total};
  }
  return spread;
}

}  // namespace orrery
