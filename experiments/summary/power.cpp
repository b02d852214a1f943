#include "experiments/summary/sections.hpp"

#include <algorithm>

namespace orrery::summary {
namespace {

Value power_domain(const PowerResult& p) {
  Value v = Value::object();
  v["budget_w"] = p.budget_w;
  v["mean_w"] = p.mean_w;
  v["peak_w"] = p.peak_w;
  v["peak_fraction"] = p.peak_w / p.budget_w;
  v["max_rise_5s"] = p.rise_5s_w / p.budget_w;
  v["max_rise_40s"] = p.rise_40s_w / p.budget_w;
  v["server_peak_w"] = p.server_peak_w;
  v["brakes"] = p.brakes;
  v["caps"] = p.caps;
  v["capped_s"] = p.capped_s;
  v["braked_s"] = p.braked_s;
  return v;
}

}  // namespace

/// Of several domains together: sums of means, counts and times, the largest of the rest.
Value power(const std::vector<PowerResult>& domains) {
  Value v = Value::object();
  for (const PowerResult& p : domains) {
    const Value one = power_domain(p);
    for (const Value::Member& m : one.members()) {
      const Value* before = v.find(m.first);
      const bool largest = m.first.starts_with("peak") || m.first.starts_with("max") || m.first.starts_with("server");
      if (before == nullptr) v[m.first] = m.second;
      else if (largest) v[m.first] = std::max(before->as_double(), m.second.as_double());
      else v[m.first] = before->as_double() + m.second.as_double();
    }
    if (domains.size() > 1) v["domains"][p.name] = one;
  }
  return v;
}

}  // namespace orrery::summary
