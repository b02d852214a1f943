#include "experiments/summary/sections.hpp"

#include "experiments/charges.hpp"

namespace orrery::summary {

/// All that one replication says.
Value body_of(const Replication& r, const RunResult& result) {
  const Summary& s = r.outcome.summary;
  const DeploymentFacts& d = result.deployment;
  Value v = Value::object();
  v["state"] = name(s.state);
  v["queue_trend"]["requests_per_s"] = s.queue_slope;
  v["queue_trend"]["half_width"] = s.queue_slope_half;
  v["requests"] = requests(s);
  v["requests"]["cut_to_context"] = r.outcome.cut;
  v["duration_s"] = s.duration_s;
  v["warmup_s"] = s.warmup_s;
  v["window_s"] = s.window_s;
  const auto alone = [&](std::size_t i) { return i < r.alone_s.size() ? r.alone_s[i] : -1; };
  add_latencies(v, s.latencies, true, alone(0));
  v["throughput"] = throughput(s.throughput);
  v["throughput"]["offered_per_s"] = s.window_s > 0 ? static_cast<double>(s.measured) / s.window_s : 0.0;
  v["throughput"]["output_tokens_per_s_per_gpu"] = s.throughput.output_tokens_per_s / static_cast<double>(d.gpus());
  v["slo"] = slo(s, result.classes);
  v["kv"] = kv(s, d);
  v["tokens"] = tokens(s);
  v["batch"]["mean_running"] = s.mean_running;
  v["batch"]["max_running"] = s.max_running;
  v["utilisation"]["busy"] = s.busy;
  if (d.peak_flops > 0) v["utilisation"]["mfu"] = s.mfu;
  if (d.peak_bytes > 0) v["utilisation"]["mbu"] = s.mbu;
  add_times(v["utilisation"], s.time);
  v["energy"]["joules"] = s.joules;
  v["energy"]["joules_per_output_token"] = s.joules_per_output_token;
  if (s.usd > 0) {
    v["cost"]["usd"] = s.usd;
    v["cost"]["usd_per_million_output_tokens"] = s.usd_per_million_output_tokens;
    v["cost"]["usd_per_hour"] = d.usd_per_hour;
    v["cost"]["source"] = result.priced_by.empty() ? d.price_source : result.priced_by;
  }
  if (r.outcome.grams >= 0) {
    v["carbon"]["grams"] = r.outcome.grams;
    const auto output = static_cast<double>(s.tokens.output);
    v["carbon"]["grams_per_1k_output_tokens"] = output > 0 ? r.outcome.grams * 1e3 / output : 0.0;
  }
  if (r.outcome.charges) v["charged"] = charged(r.outcome.charges->requests, *r.outcome.charges);
  if (!r.outcome.power.empty()) v["power"] = power(r.outcome.power);
  v["trust"] = trust(s, d);
  v["stalls"]["kv_map_s"] = d.map_s_per_token * static_cast<double>(s.tokens.computed);
  v["stalls"]["swap_s"] = s.swap_s;
  v["stalls"]["transfer_s"] = s.transfer_s;
  v["stalls"]["host_s"] = s.host_s;
  v["headroom"] = headroom(s, d);
  if (!r.predictor.name.empty()) {
    Value& p = v["predictor"];
    p["name"] = r.predictor.name;
    p["oracle"] = r.predictor.oracle;
    const auto n = static_cast<double>(r.predictor.predicted);
    p["accuracy"] = n > 0 ? 1 - static_cast<double>(r.predictor.mispredicted) / n : 1.0;
    p["mispredicted"] = r.predictor.mispredicted;
  }
  add_experience(v, s.qoe);
  if (!r.tenants.items().empty()) {
    Value& f = v["fairness"];
    f["gap"]["end"] = static_cast<double>(r.service.gap_end);
    f["gap"]["max"] = static_cast<double>(r.service.gap_max);
    if (r.service.windows > 0) {
      f["difference_per_s"]["mean"] = r.service.difference_mean;
      f["difference_per_s"]["max"] = r.service.difference_max;
    }
  }
  if (s.by_class.size() > 1) {
    for (std::size_t i = 0; i < s.by_class.size(); ++i) {
      const std::string key = i < result.classes.size() ? result.classes[i] : std::to_string(i);
      Value& c = v["by_class"][key];
      add_latencies(c, s.by_class[i], false, alone(i + 1));
      if (i >= s.class_counts.size()) continue;
      add_counts(c, s.class_counts[i], s.window_s);
      add_charges(c, s.class_counts[i].service_share, r);
      if (r.outcome.charges) c["charged"] = charged_class(r, i);
    }
  }
  if (!r.by_model.members().empty()) v["by_model"] = r.by_model;
  if (!result.pools.is_null()) {
    v["migrations"] = r.outcome.migrations;
    const auto moves = static_cast<double>(r.outcome.migrations);
    v["cluster"]["migration_downtime_s"]["mean"] = moves > 0 ? to_seconds(r.outcome.downtime) / moves : 0.0;
    v["cluster"]["migration_downtime_s"]["max"] = to_seconds(r.outcome.longest_downtime);
    v["cluster"]["kv_bytes_moved"] = r.outcome.bytes_moved;
    double hours = 0;
    for (const Duration paid : r.outcome.paid) hours += to_seconds(paid) / 3600;
    v["cluster"]["instance_hours"] = hours;
    double node_hours = 0;
    for (const Duration paid : r.outcome.nodes_paid) node_hours += to_seconds(paid) / 3600;
    if (!r.outcome.nodes_paid.empty()) v["cluster"]["node_hours"] = node_hours;
  }
  if (r.outcome.cold_starts.all.count > 0) v["cold_starts"] = cold_starts(r.outcome.cold_starts);
  v["littles_law"]["mean_in_system"] = s.mean_in_system;
  return v;
}

}  // namespace orrery::summary
