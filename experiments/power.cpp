#include "experiments/power.hpp"

#include <algorithm>

namespace orrery {
namespace {

/// Where the stations of a part of the run come from: a pool, or all there is.
struct Part {
  const DeploymentParts* deployment;
  const RunConfig* config;
  std::int64_t priority = 0;
  std::size_t first = 0, count = 0;
  std::int32_t pool = -1;
};

std::vector<Part> parts_of(const Assembly& a) {
  std::vector<Part> out;
  if (a.pools.empty())
    out.push_back({&a.deployment, &a.config, 0, 0, static_cast<std::size_t>(a.config.cluster.replicas), -1});
  std::size_t first = 0;
  for (const PoolAssembly& p : a.pools) {
    const auto count = static_cast<std::size_t>(p.config.cluster.replicas);
    const auto pool = static_cast<std::int32_t>(out.size());
    out.push_back({&p.deployment, &p.config, a.config.pools[out.size()].priority, first, count, pool});
    first += count;
  }
  return out;
}

/// Those of a domain, the most urgent first to have the high priority.
std::vector<Part> parts_of(const Assembly& a, const PowerConfig& domain) {
  std::vector<Part> out = parts_of(a);
  if (domain.pools.empty()) return out;
  std::erase_if(out, [&](const Part& p) {
    return std::find(domain.pools.begin(), domain.pools.end(), p.pool) == domain.pools.end();
  });
  return out;
}

std::int64_t high_priority(const std::vector<Part>& parts) {
  std::int64_t most = parts.front().priority;
  for (const Part& p : parts) most = std::min(most, p.priority);
  return most;
}

std::string watts(double w) { return format_number(static_cast<double>(static_cast<std::int64_t>(w + 0.5))) + " W"; }

/// Every device must have the policy's clocks, and a row that idles must fit its budget.
void check_domain(const Assembly& a, const PowerConfig& c, const PowerPolicy& policy, ErrorList& errors) {
  double idle = 0;
  for (const Part& p : parts_of(a, c)) {
    if (p.deployment->hardware == nullptr) return;   // told elsewhere
    const Hardware& device = p.deployment->hardware->hardware;
    try {
      const ClockLaw law = clock_law(device);
      for (const int clock : policy.clocks()) law.at(clock);
    } catch (const ConfigError& e) { errors.add(c.pointer + "/policy", e.what()); }
    const double devices = p.deployment->facts.idle_watts;
    idle += static_cast<double>(p.count) * (devices + c.constant_w + c.share * devices);
  }
  if (c.budget_w > 0 && c.budget_w < idle)
    errors.add(c.pointer + "/budget", "expected more than " + watts(idle) +
                                          ", which its servers draw when idle, got " + watts(c.budget_w));
}

void check_signals(const Assembly& a, ErrorList& errors) {
  const auto known = [&](const std::string& name) {
    const auto is_it = [&](const PowerConfig& c) { return c.name == name; };
    return std::any_of(a.config.power.begin(), a.config.power.end(), is_it);
  };
  for (const SignalConfig& s : a.config.signals.power) {
    if (s.domain.empty() && a.config.power.size() != 1)
      errors.add(s.pointer, a.config.power.empty() ? "counts in a power domain; there is none in /power"
                                                   : "name the \"domain\" that it counts in");
    else if (!s.domain.empty() && !known(s.domain))
      errors.add(s.pointer + "/domain", "there is no power domain \"" + s.domain + "\"");
  }
}

}  // namespace

void assemble_power(Assembly& a, const std::string& executor, ErrorList& errors) {
  const std::size_t before = errors.lines().size();
  if (!a.config.power.empty() && executor != "model") errors.add("/power", "a live executor has no clocks to set");
  for (const PowerConfig& c : a.config.power) {
    Value resolved = Value::object();
    const auto policy = make_power_policy(c, *a.registry, errors, &resolved);
    a.resolved_power.push_back(resolved);
    if (policy != nullptr && errors.lines().size() == before) check_domain(a, c, *policy, errors);
  }
  check_signals(a, errors);
  const SignalsConfig& s = a.config.signals;
  if (!s.price.empty() && a.config.capacity.usd_per_hour > 0)
    errors.add("/signals/price", "stands beside /signals/capacity/usd_per_hour; one of them prices instances");
  const auto load = [&](const SignalConfig& one, double per_unit) {
    return load_signal(one, per_unit, a.config.search, a.deployment.inputs, errors);
  };
  if (s.carbon) a.carbon = load(*s.carbon, 1e6 * s.carbon->pue);
  for (const SignalConfig& one : s.price) a.price.push_back(load(one, 1e9));
  for (const SignalConfig& one : s.power) a.other_power.push_back(load(one, 1e3));
  for (const SignalConfig& one : s.bandwidth)
    a.bandwidth.push_back(load_signal(one, 1, a.config.search, a.deployment.inputs, errors, 1e15));
}

PowerRows::PowerRows(const Assembly& a, const Watch& watch, SimulationParts& parts) {
  power_.actions = watch.actions;
  for (std::size_t i = 0; i < a.config.power.size(); ++i) add_domain(a, i, parts);
  if (!power_.domains.empty()) parts.power = &power_;
  if (!a.config.signals.any()) return;
  carbon_ = a.carbon;
  if (!carbon_.empty()) tariff_.carbon = &carbon_;
  tariff_.price.resize(parts.stations.size());
  for (const Part& p : parts_of(a)) {
    const auto& prices = a.config.signals.price;
    const auto its = std::find_if(prices.begin(), prices.end(), [&](const SignalConfig& s) {
      return s.pools.empty() || std::find(s.pools.begin(), s.pools.end(), p.pool) != s.pools.end();
    });
    if (its == prices.end()) continue;
    const std::int64_t devices = p.config->cluster.tp * p.config->cluster.pp;
    price_.push_back(a.price[static_cast<std::size_t>(its - prices.begin())].times(devices));
    for (std::size_t i = 0; i < p.count; ++i) tariff_.price[p.first + i] = &price_.back();
  }
  parts.tariff = &tariff_;
}

void PowerRows::add_domain(const Assembly& a, std::size_t index, SimulationParts& parts) {
  const PowerConfig& c = a.config.power[index];
  ErrorList errors;
  const PowerPolicy& policy = *policies_.emplace_back(make_power_policy(c, *a.registry, errors, nullptr));
  errors.throw_if_any();
  const auto milliwatts = [](double w) { return static_cast<std::int64_t>(1e3 * w + 0.5); };
  PowerDomainParts d;
  d.name = c.name;
  d.budget_mw = milliwatts(c.budget_w);
  d.telemetry = c.telemetry;
  d.cap_delay = c.cap_delay;
  d.brake_delay = c.brake_delay;
  d.rises_from = a.config.warmup.value_or(Duration{});
  d.policy = policies_.back().get();
  const std::vector<Part> members = parts_of(a, c);
  for (const Part& p : members)
    for (std::size_t i = p.first; i < p.first + p.count; ++i) {
      PowerMember m;
      m.station = StationId{static_cast<std::int32_t>(i)};
      m.priority = p.priority == high_priority(members) ? ServerPriority::kHigh : ServerPriority::kLow;
      m.base_mw = milliwatts(c.constant_w);
      m.per_mille = milliwatts(c.share);
      m.clocks.push_back({0, parts.stations[i].executor, parts.stations[i].cost});
      for (const int clock : policy.clocks())
        m.clocks.push_back(at_clock(*parts.stations[i].cost, *p.deployment, p.config->cluster.tp, clock));
      d.members.push_back(std::move(m));
    }
  for (std::size_t i = 0; i < a.other_power.size(); ++i)
    if (const std::string& name = a.config.signals.power[i].domain; name.empty() || name == c.name)
      d.others = &a.other_power[i];
  power_.domains.push_back(std::move(d));
}

ClockParts PowerRows::at_clock(const CostModel& base, const DeploymentParts& d, std::int64_t devices, int megahertz) {
  const auto is_it = [&](const Clocked& x) { return x.base == &base && x.megahertz == megahertz; };
  auto found = std::find_if(clocked_.begin(), clocked_.end(), is_it);
  if (found == clocked_.end()) {
    const Hardware& device = d.hardware->hardware;
    const ClockLaw law = clock_law(device);
    auto cost = std::make_unique<ClockedCost>(base, station_power(device, law, static_cast<int>(devices)), law,
                                              law.at(megahertz));
    auto executor = std::make_unique<ModelExecutor>(*cost);
    clocked_.push_back({&base, megahertz, std::move(cost), std::move(executor)});
    found = std::prev(clocked_.end());
  }
  return {megahertz, found->executor.get(), found->cost.get()};
}

}  // namespace orrery
