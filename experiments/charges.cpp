#include "experiments/charges.hpp"

#include "experiments/assembly.hpp"
#include "experiments/power.hpp"
#include "sim/metrics/rows_csv.hpp"

namespace orrery {
namespace {

/// USD an hour of an instance by what its config says, 0 where it is not known; pools in their order.
std::vector<double> constant_prices(const Assembly& a, const SimulationParts& parts) {
  std::vector<double> out;
  const DeploymentFacts& all = a.deployment.facts;
  if (a.pools.empty())
    out.assign(parts.stations.size(), all.usd_per_hour / static_cast<double>(all.replicas));
  for (std::size_t p = 0; p < a.pools.size(); ++p) {
    const DeploymentFacts& f = a.pools[p].deployment.facts;
    double usd = f.usd_per_hour / static_cast<double>(f.replicas);
    const PoolParts& pool = parts.cluster->pools[p];
    if (a.capacity && a.config.capacity.usd_per_hour > 0) {   // nodes are paid for, and nothing else
      const double devices = parts.cluster->nodes.empty() ? 1 : parts.cluster->nodes.front().devices;
      usd = pool.on_nodes ? a.config.capacity.usd_per_hour * pool.tp * pool.pp / devices : 0;
    }
    out.insert(out.end(), static_cast<std::size_t>(pool.count), usd);
  }
  return out;
}

}  // namespace

bool charges_requests(const Assembly& a) {
  return a.config.global.charges || !a.pools.empty() || a.class_names().size() > 1 ||
         a.workload.tenants.size() > 1 || !a.config.power.empty() || a.config.signals.any();
}

ChargePrices::ChargePrices(const Assembly& a, const PowerRows& power, SimulationParts& parts) {
  const TariffParts& tariff = power.tariff();
  parts_.price = tariff.price;
  parts_.price.resize(parts.stations.size());
  parts_.carbon = tariff.carbon;
  const std::vector<double> constant = constant_prices(a, parts);
  for (std::size_t i = 0; i < parts_.price.size(); ++i) {
    if (parts_.price[i] != nullptr || constant[i] <= 0) continue;
    const bool as_before = i > 0 && constant[i] == constant[i - 1] && !prices_.empty();
    if (!as_before) prices_.emplace_back(static_cast<std::int64_t>(constant[i] * 1e9 + 0.5));
    parts_.price[i] = &prices_.back();
  }
  parts.charges = &parts_;
}

Value charged(const Spend& spent, const ChargeResult& of) {
  Value v = Value::object();
  v["joules"] = spent.joules();
  if (of.money) v["usd"] = spent.usd();
  if (of.carbon) v["grams"] = spent.grams();
  return v;
}

void write_replicas(const std::string& path, const Outcome& outcome, const std::vector<std::string>& pool_of) {
  CsvFile file(path);
  file.text("replica,pool,present_s,busy_s,prompt_tokens,output_tokens,service,joules,step_joules,usd,step_usd,grams,"
            "step_grams");
  file.end();
  const auto amount = [&](bool known, double value) {
    file.comma();
    if (known) file.precise(value);
  };
  for (std::size_t i = 0; i < outcome.stations.size(); ++i) {
    const StationResult& s = outcome.stations[i];
    const StationCharge& steps = outcome.charges->by_station[i];
    file.number(static_cast<std::int64_t>(i));
    file.comma();
    file.text(i < pool_of.size() ? pool_of[i] : "main");
    file.comma();
    file.seconds(to_ps(s.present));
    file.comma();
    file.seconds(to_ps(s.busy));
    for (const std::int64_t count : {steps.prompt_tokens, steps.output_tokens, steps.service()}) {
      file.comma();
      file.number(count);
    }
    amount(true, s.joules);
    amount(true, steps.spent.joules());
    amount(s.usd >= 0, s.usd);
    amount(s.usd >= 0, steps.spent.usd());
    amount(s.grams >= 0, s.grams);
    amount(s.grams >= 0, steps.spent.grams());
    file.end();
  }
  file.close();
}

}  // namespace orrery
