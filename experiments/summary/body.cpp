#include "experiments/summary/sections.hpp"

#include "experiments/charges.hpp"

namespace orrery::summary {

namespace {

void add_window(Value& out, const Summary& s, const Replication& r) {
  out["state"] = name(s.state);
  out["queue_trend"]["requests_per_s"] = s.queue_slope;
  out["queue_trend"]["half_width"] = s.queue_slope_half;
  out["requests"] = requests(s);
  out["requests"]["cut_to_context"] = r.outcome.cut;
  out["duration_s"] = s.duration_s;
  out["warmup_s"] = s.warmup_s;
  out["window_s"] = s.window_s;
}

void add_throughput(Value& out, const Summary& s, const DeploymentFacts& d) {
  out["throughput"] = throughput(s.throughput);
  out["throughput"]["offered_per_s"] = s.window_s > 0 ? static_cast<double>(s.measured) / s.window_s : 0.0;
  out["throughput"]["output_tokens_per_s_per_gpu"] = s.throughput.output_tokens_per_s / static_cast<double>(d.gpus());
}

void add_utilisation(Value& out, const Summary& s, const DeploymentFacts& d) {
  out["batch"]["mean_running"] = s.mean_running;
  out["batch"]["max_running"] = s.max_running;
  out["utilisation"]["busy"] = s.busy;
  if (d.peak_flops > 0) out["utilisation"]["mfu"] = s.mfu;
  if (d.peak_bytes > 0) out["utilisation"]["mbu"] = s.mbu;
  add_times(out["utilisation"], s.time);
}

/// The meter: energy, money, carbon, what requests are charged.
void add_spending(Value& out, const Replication& r, const RunResult& result) {
  const Summary& s = r.outcome.summary;
  out["energy"]["joules"] = s.joules;
  out["energy"]["joules_per_output_token"] = s.joules_per_output_token;
  if (s.usd > 0) {
    out["cost"]["usd"] = s.usd;
    out["cost"]["usd_per_million_output_tokens"] = s.usd_per_million_output_tokens;
    out["cost"]["usd_per_hour"] = result.deployment.usd_per_hour;
    out["cost"]["source"] = result.priced_by.empty() ? result.deployment.price_source : result.priced_by;
  }
  if (r.outcome.grams >= 0) {
    out["carbon"]["grams"] = r.outcome.grams;
    const auto output = static_cast<double>(s.tokens.output);
    out["carbon"]["grams_per_1k_output_tokens"] = output > 0 ? r.outcome.grams * 1e3 / output : 0.0;
  }
  if (r.outcome.charges) out["charged"] = charged(r.outcome.charges->requests, *r.outcome.charges);
}

void add_stalls(Value& out, const Summary& s, const DeploymentFacts& d) {
  out["stalls"]["kv_map_s"] = d.map_s_per_token * static_cast<double>(s.tokens.computed);
  out["stalls"]["swap_s"] = s.swap_s;
  out["stalls"]["transfer_s"] = s.transfer_s;
  out["stalls"]["host_s"] = s.host_s;
}

void add_predictor(Value& out, const Replication& r) {
  if (r.predictor.name.empty()) return;
  Value& p = out["predictor"];
  p["name"] = r.predictor.name;
  p["oracle"] = r.predictor.oracle;
  const auto n = static_cast<double>(r.predictor.predicted);
  p["accuracy"] = n > 0 ? 1 - static_cast<double>(r.predictor.mispredicted) / n : 1.0;
  p["mispredicted"] = r.predictor.mispredicted;
}

void add_fairness(Value& out, const Replication& r) {
  if (r.tenants.items().empty()) return;
  Value& f = out["fairness"];
  f["gap"]["end"] = static_cast<double>(r.service.gap_end);
  f["gap"]["max"] = static_cast<double>(r.service.gap_max);
  if (r.service.windows > 0) {
    f["difference_per_s"]["mean"] = r.service.difference_mean;
    f["difference_per_s"]["max"] = r.service.difference_max;
  }
}

/// `alone_s` of all requests, then of each class; negative: not known.
double alone(const Replication& r, std::size_t i) { return i < r.alone_s.size() ? r.alone_s[i] : -1; }

void add_classes(Value& out, const Replication& r, const std::vector<std::string>& classes) {
  const Summary& s = r.outcome.summary;
  if (s.by_class.size() <= 1) return;
  for (std::size_t i = 0; i < s.by_class.size(); ++i) {
    Value& c = out["by_class"][i < classes.size() ? classes[i] : std::to_string(i)];
    add_latencies(c, s.by_class[i], false, alone(r, i + 1));
    if (i >= s.class_counts.size()) continue;
    add_counts(c, s.class_counts[i], s.window_s);
    add_charges(c, s.class_counts[i].service_share, r);
    if (r.outcome.charges) c["charged"] = charged_class(r, i);
  }
}

double hours(const std::vector<Duration>& paid) {
  double sum = 0;
  for (const Duration d : paid) sum += to_seconds(d) / 3600;
  return sum;
}

void add_cluster(Value& out, const Replication& r) {
  out["migrations"] = r.outcome.migrations;
  const auto moves = static_cast<double>(r.outcome.migrations);
  Value& c = out["cluster"];
  c["migration_downtime_s"]["mean"] = moves > 0 ? to_seconds(r.outcome.downtime) / moves : 0.0;
  c["migration_downtime_s"]["max"] = to_seconds(r.outcome.longest_downtime);
  c["kv_bytes_moved"] = r.outcome.bytes_moved;
  c["instance_hours"] = hours(r.outcome.paid);
  if (!r.outcome.nodes_paid.empty()) c["node_hours"] = hours(r.outcome.nodes_paid);
}

}  // namespace

Value body_of(const Replication& r, const RunResult& result) {
  const Summary& s = r.outcome.summary;
  const DeploymentFacts& d = result.deployment;
  Value v = Value::object();
  add_window(v, s, r);
  add_latencies(v, s.latencies, true, alone(r, 0));
  add_throughput(v, s, d);
  v["slo"] = slo(s, result.classes);
  v["kv"] = kv(s, d);
  v["tokens"] = tokens(s);
  add_utilisation(v, s, d);
  add_spending(v, r, result);
  if (!r.outcome.power.empty()) v["power"] = power(r.outcome.power);
  v["trust"] = trust(s, d);
  add_stalls(v, s, d);
  v["headroom"] = headroom(s, d);
  add_predictor(v, r);
  add_experience(v, s.qoe);
  add_fairness(v, r);
  add_classes(v, r, result.classes);
  if (!r.by_model.members().empty()) v["by_model"] = r.by_model;
  if (!result.pools.is_null()) add_cluster(v, r);
  if (r.outcome.cold_starts.all.count > 0) v["cold_starts"] = cold_starts(r.outcome.cold_starts);
  v["littles_law"]["mean_in_system"] = s.mean_in_system;
  return v;
}

}  // namespace orrery::summary
