#include "experiments/tenants.hpp"

namespace orrery {

void TenantSink::row(const Row& r) {
  if (r.tenant >= tenants_.size()) return;
  Tenant& t = tenants_[r.tenant];
  ++t.requests;
  if (r.first_schedule != kNever) t.service += r.prompt.value() + 2 * static_cast<std::int64_t>(r.output.value());
  if (r.status == Status::kDone) t.ttft.add(to_ps(r.ttft()));
}

Value TenantSink::summary() const {
  Value list = Value::array();
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    const Tenant& t = tenants_[i];
    if (t.requests == 0) continue;
    Value v = Value::object();
    v["tenant"] = names_[i];
    v["service"] = t.service;
    v["requests"] = t.requests;
    Value& ttft = v["ttft_s"];
    ttft = Value::object();
    if (t.ttft.count() > 0) {
      ttft["mean"] = t.ttft.mean() * 1e-12;
      for (const auto& [key, p] : {std::pair{"p50", 50.0}, std::pair{"p90", 90.0}, std::pair{"p99", 99.0}}) {
        ttft[key] = static_cast<double>(t.ttft.percentile(p)) * 1e-12;
      }
    }
    list.push_back(std::move(v));
  }
  return list;
}

}  // namespace orrery
