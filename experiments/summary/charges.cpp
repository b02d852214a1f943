#include "experiments/summary/sections.hpp"

#include "experiments/charges.hpp"

namespace orrery::summary {

/// What a class or tenant with that share of the service gets of the meter, idle time and all.
void add_charges(Value& out, double share, const Replication& r) {
  const Summary& s = r.outcome.summary;
  out["energy"]["joules"] = share * s.joules;
  if (s.usd > 0) out["cost"]["usd"] = share * s.usd;
  if (r.outcome.grams >= 0) out["carbon"]["grams"] = share * r.outcome.grams;
}

Value charged_class(const Replication& r, std::size_t index) {
  const std::vector<Spend>& spent = r.outcome.charges->by_class;
  return charged(index < spent.size() ? spent[index] : Spend{}, *r.outcome.charges);
}

Value tenants(const Replication& r) {
  Value out = r.tenants;
  double service = 0;
  for (const Value& t : out.items()) service += t.at("service").as_double();
  for (std::size_t i = 0; i < out.items().size(); ++i)
    add_charges(out[i], service > 0 ? out[i].at("service").as_double() / service : 0, r);
  return out;
}

}  // namespace orrery::summary
