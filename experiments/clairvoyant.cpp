#include "experiments/clairvoyant.hpp"

#include "experiments/conventions.hpp"
#include "experiments/statistics.hpp"

namespace orrery {
namespace {

/// `resolved`: what is looked at to see that an order is not first come, first served.
void know_lengths(PolicyChoices& p, Value& resolved) {
  p.order = {.name = "sjf", .parameters = Value::object(), .given = true};
  p.order.parameters["prompt_weight"] = 1;
  p.predictor = {.name = "oracle", .parameters = Value::object(), .given = true};
  resolved["order"]["name"] = p.order.name;
}

Clairvoyant::Run numbers(const Summary& s) {
  return {s.slo.goodput_rps, s.latencies.ttft.mean, s.latencies.e2e.mean};
}

double mean(const std::vector<Clairvoyant::Run>& runs, double Clairvoyant::Run::*number) {
  std::vector<double> values;
  for (const Clairvoyant::Run& r : runs) values.push_back(r.*number);
  return mean_of(values);
}

}  // namespace

Clairvoyant run_clairvoyant(Assembly a, const std::vector<Replication>& runs, Watch watch, const std::string& metrics) {
  know_lengths(a.config.policy, a.resolved_policies);
  for (PoolAssembly& p : a.pools) know_lengths(p.config.policy, p.resolved_policies);
  a.predictor = "oracle";
  a.oracle = true;
  Clairvoyant out;
  for (const Replication& own : runs) {
    const auto convention = make_convention(metrics);
    watch.rows = convention.get();
    a.config.warmup = Duration{from_seconds(own.outcome.summary.warmup_s)};
    Replication r = replicate(a, own.seed, watch);
    if (convention != nullptr) convention->apply(r.outcome.summary);
    if (r.outcome.interrupted) return {};
    out.own.push_back(numbers(own.outcome.summary));
    out.runs.push_back(numbers(r.outcome.summary));
  }
  return out;
}

Value clairvoyant_summary(const Clairvoyant& c) {
  Value v = Value::object();
  v["order"] = "sjf";
  v["predictor"] = "oracle";
  const auto add = [&](const char* name, double Clairvoyant::Run::*number) { v[name] = mean(c.runs, number); };
  add("goodput_rps", &Clairvoyant::Run::goodput_rps);
  add("ttft_mean_s", &Clairvoyant::Run::ttft_s);
  add("e2e_mean_s", &Clairvoyant::Run::e2e_s);
  const auto ratio = [](double part, double whole) { return whole > 0 ? part / whole : 1; };
  const double goodput = mean(c.own, &Clairvoyant::Run::goodput_rps);
  v["of_goodput"] = ratio(goodput, mean(c.runs, &Clairvoyant::Run::goodput_rps));
  v["of_ttft"] = ratio(mean(c.runs, &Clairvoyant::Run::ttft_s), mean(c.own, &Clairvoyant::Run::ttft_s));
  v["of_e2e"] = ratio(mean(c.runs, &Clairvoyant::Run::e2e_s), mean(c.own, &Clairvoyant::Run::e2e_s));
  return v;
}

}  // namespace orrery
