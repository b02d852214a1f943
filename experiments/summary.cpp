#include "experiments/summary.hpp"

#include <algorithm>

#include "experiments/combine.hpp"
#include "experiments/incidents.hpp"
#include "experiments/clairvoyant.hpp"
#include "experiments/max_rate.hpp"
#include "experiments/summary/sections.hpp"

namespace orrery {
namespace {

using namespace summary;

/// With several replications a limit is met if its mean over them is; a percentile that is missed once has no mean. How
/// many of them met all limits by themselves is told beside it.
void judge_again(Value& body, const std::vector<Value>& bodies) {
  if (body.at("slo").find("limits") == nullptr) return;
  bool met = true;
  Value& limits = body["slo"]["limits"];
  for (std::size_t i = 0; i < limits.items().size(); ++i) {
    const double value = limits[i].at("value_s").as_double();
    const bool ok = value <= limits[i].at("limit_s").as_double();
    limits[i]["met"] = ok;
    met = met && ok;
  }
  body["slo"]["met"] = met;
  body["slo"]["replications_met"] = static_cast<std::int64_t>(
      std::count_if(bodies.begin(), bodies.end(), [](const Value& b) { return b.at("slo").at("met").as_bool(); }));
}

std::vector<Value> bodies_of(const std::vector<Replication>& replications, const RunResult& r) {
  std::vector<Value> bodies;
  for (const Replication& one : replications) bodies.push_back(body_of(one, r));
  return bodies;
}

Value intervals_of(const RunResult& r, const Spread& spread) {
  Value v = Value::object();
  v["random"] = strings(r.random);
  if (spread.intervals.empty()) {
    v["none"] = r.interval_note;
    return v;
  }
  v["level"] = 0.95;
  v["method"] = spread.method;
  v["values"] = Value::object();
  v["variance_shares"] = Value::object();
  for (const auto& [path, i] : spread.intervals) {
    Value pair = Value::array();
    pair.push_back(i.low);
    pair.push_back(i.high);
    v["values"][path] = std::move(pair);
    Value& shares = v["variance_shares"][path];
    shares["sampling"] = i.sampling_share;
    shares["model_error"] = 1 - i.sampling_share;
  }
  return v;
}

}  // namespace

Value summary_of(const RunResult& r) {
  const std::vector<Value> bodies = bodies_of(r.replications, r);
  const Spread spread = spread_of({bodies, bodies_of(r.resamples, r), bodies_of(r.perturbed, r)});
  Value body = combined(bodies);
  if (bodies.size() > 1) judge_again(body, bodies);
  std::uint64_t fingerprint = r.replications.front().outcome.fingerprint;
  Value seeds = Value::array();
  for (const auto* part : {&r.replications, &r.resamples, &r.perturbed}) {
    for (const Replication& one : *part) {
      if (&one != &r.replications.front()) fingerprint = hash_combine(fingerprint, one.outcome.fingerprint);
      if (part == &r.replications) seeds.push_back(static_cast<std::int64_t>(one.seed));
    }
  }

  Value v = Value::object();
  v["schema"] = kSummarySchema;
  v["config_hash"] = r.config_hash;
  v["seed"] = static_cast<std::int64_t>(r.replications.front().seed);
  v["seeds"] = std::move(seeds);
  v["fingerprint"] = hex16(fingerprint);
  v["metrics_convention"] = r.metrics;
  v["interrupted"] = r.interrupted;
  v["provenance"] = provenance_of(r);
  v["deployment"] = deployment_of(r.deployment);
  v["policy"]["batching"] = r.batching;
  v["policy"]["order"] = r.order;
  v["policy"]["kv"] = r.kv;
  v["policy"]["router"] = r.router;
  if (!r.cluster.empty()) v["policy"]["cluster"] = r.cluster;
  if (!r.pools.is_null()) v["pools"] = r.pools;
  if (!r.replications.front().incidents.is_null()) {
    v["incidents"] = r.replications.front().incidents;
    std::vector<Value> all;
    for (const Replication& one : r.replications) all.push_back(one.incidents);
    v["incidents_by_event"] = incident_totals(all);
  }
  if (!r.placement.is_null()) v["placement"] = r.placement;
  v["workload"]["text"] = r.workload;
  v["workload"]["notes"] = strings(r.workload_notes);
  for (const Value::Member& m : body.members()) v[m.first] = m.second;
  v["warmup_rule"] = r.first().warmup_rule;
  if (!r.clairvoyant.runs.empty()) v["headroom"]["clairvoyant"] = clairvoyant_summary(r.clairvoyant);
  if (!r.max_rate.per_s.empty()) v["headroom"]["max_rate"] = max_rate_summary(r.max_rate);
  if (!r.replications.front().tenants.items().empty()) v["tenants"] = tenants(r.replications.front());
  for (const QualityFact& q : r.deployment.quality) {
    Value one = Value::object();
    one["task"] = q.task;
    one["baseline"] = q.baseline;
    one["value"] = q.value;
    one["source"] = q.source;
    v["quality"].push_back(std::move(one));
  }
  v["not_modelled"] = strings(r.deployment.not_modelled);
  v["intervals"] = intervals_of(r, spread);
  v["simulator"] = simulator_of(r);
  return v;
}

}  // namespace orrery
