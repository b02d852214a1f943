#include "experiments/tenants.hpp"

#include "experiments/charges.hpp"

namespace orrery {
namespace {

/// Fairness is between those who have a name.
std::vector<bool> with_name(const std::vector<std::string>& names) {
  std::vector<bool> out;
  for (const std::string& n : names) out.push_back(!n.empty());
  return out;
}

}  // namespace

TenantResults::TenantResults(std::vector<std::string> names, RowSink* next)
    : names_(std::move(names)), next_(next), tenants_(names_.size()), meter_(with_name(names_)) {}

void TenantResults::row(const Row& r) {
  Tenant& t = tenants_[r.tenant];
  ++t.requests;
  t.spent += r.spent;
  if (r.status == Status::kDone) t.ttft.add(to_ps(r.ttft()));
  if (next_ != nullptr) next_->row(r);
}

Value TenantResults::list(const ChargeResult* charges) const {
  Value list = Value::array();
  const TenantService service = meter_.finish();
  for (std::size_t i = 0; i < tenants_.size(); ++i) {
    const Tenant& t = tenants_[i];
    if (t.requests == 0) continue;
    Value v = Value::object();
    v["tenant"] = names_[i];
    v["service"] = service.service[i];
    v["demand"] = service.demand[i];
    v["requests"] = t.requests;
    Value& ttft = v["ttft_s"];
    ttft = Value::object();
    if (t.ttft.count() > 0) {
      ttft["mean"] = t.ttft.mean() * 1e-12;
      for (const auto& [key, p] : {std::pair{"p50", 50.0}, std::pair{"p90", 90.0}, std::pair{"p99", 99.0}}) {
        ttft[key] = static_cast<double>(t.ttft.percentile(p)) * 1e-12;
      }
    }
    if (charges != nullptr) v["charged"] = charged(t.spent, *charges);
    list.push_back(std::move(v));
  }
  return list;
}

}  // namespace orrery
