#include "experiments/summary.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/charges.hpp"
#include "experiments/combine.hpp"
#include "experiments/incidents.hpp"
#include "experiments/clairvoyant.hpp"
#include "experiments/max_rate.hpp"
#include "experiments/run_config.hpp"

namespace orrery {
namespace {

Value strings(const std::vector<std::string>& list) {
  Value out = Value::array();
  for (const std::string& s : list) out.push_back(s);
  return out;
}

Value quantiles(const Quantiles& q) {
  Value v = Value::object();
  if (q.count == 0) return v;  // no value: no number that looks like one
  v["mean"] = q.mean;
  v["p50"] = q.p50;
  v["p90"] = q.p90;
  v["p95"] = q.p95;
  v["p99"] = q.p99;
  v["max"] = q.max;
  return v;
}

/// The parts add up to mean_s. `alone_s`: of one such prompt in a step of its own; negative: not known.
Value first_token_parts(const SlowFirstTokens& slow, double alone_s) {
  Value v = Value::object();
  v["requests"] = slow.count;
  v["from_s"] = slow.low;
  v["to_s"] = slow.high;
  v["mean_s"] = slow.mean;
  v["retries_s"] = slow.retries;
  v["load_s"] = slow.load;
  v["queue_s"] = slow.queue;
  v["set_back_s"] = slow.set_back;
  if (alone_s < 0) {
    v["prefill_s"] = slow.prefill;
    return v;
  }
  const double alone = std::min(alone_s, slow.prefill);
  v["prefill_alone_s"] = alone;
  v["prefill_beside_others_s"] = slow.prefill - alone;
  return v;
}

void add_latencies(Value& out, const Latencies& l, bool with_itl, double alone_s) {
  out["ttft_s"] = quantiles(l.ttft);
  out["tpot_s"] = quantiles(l.tpot);
  if (with_itl) out["itl_s"] = quantiles(l.itl);
  out["e2e_s"] = quantiles(l.e2e);
  out["queue_s"] = quantiles(l.queue);
  if (l.slow.count > 0) out["ttft_p99_parts"] = first_token_parts(l.slow, alone_s);
}

void add_experience(Value& out, const Experience& e) {
  if (e.count == 0) return;
  Value& v = out["qoe"];
  v["mean"] = e.mean;
  v["p10"] = e.p10;
  v["p50"] = e.p50;
  v["min"] = e.min;
}

void add_counts(Value& out, const ClassCounts& c, double window_s) {
  Value& r = out["requests"];
  r["offered"] = c.offered;
  for (const Status st : {Status::kDone, Status::kRejected, Status::kFailed, Status::kCancelled, Status::kTimedOut,
                          Status::kInFlight})
    r[st == Status::kDone ? "completed" : name(st)] = c.requests[static_cast<std::size_t>(st)];
  r["retries"] = c.retries;
  const auto offered = static_cast<double>(c.offered), good = static_cast<double>(c.good);
  add_experience(out, c.qoe);
  out["slo"]["attainment"] = offered > 0 ? good / offered : 0.0;
  out["slo"]["goodput_rps"] = window_s > 0 ? good / window_s : 0.0;
}

Value requests(const Summary& s) {
  const auto count = [&](Status st) { return s.requests[static_cast<std::size_t>(st)]; };
  Value v = Value::object();
  v["offered"] = s.offered;
  v["completed"] = count(Status::kDone);
  v["rejected"] = count(Status::kRejected);
  v["failed"] = count(Status::kFailed);
  v["cancelled"] = count(Status::kCancelled);
  v["timed_out"] = count(Status::kTimedOut);
  v["in_flight"] = count(Status::kInFlight);
  v["retries"] = s.retries;
  v["measured"] = s.measured;
  return v;
}

Value throughput(const Summary::Throughput& t) {
  Value v = Value::object();
  v["requests_per_s"] = t.requests_per_s;
  v["prompt_tokens_per_s"] = t.prompt_tokens_per_s;
  v["cached_prompt_tokens_per_s"] = t.cached_prompt_tokens_per_s;
  v["output_tokens_per_s"] = t.output_tokens_per_s;
  return v;
}

Value slo(const Summary& s, const std::vector<std::string>& classes) {
  Value v = Value::object();
  if (s.slo.limits.empty()) return v;
  v["attainment"] = s.slo.attainment;
  v["goodput_rps"] = s.slo.goodput_rps;
  v["met"] = s.slo.met;
  v["limits"] = Value::array();
  for (const SloResult& r : s.slo.limits) {
    Value l = Value::object();
    l["key"] = slo_key(r.limit);
    const auto index = static_cast<std::size_t>(std::max(0, r.limit.request_class));
    if (r.limit.request_class >= 0 && index < classes.size()) l["class"] = classes[index];
    l["limit_s"] = to_seconds(r.limit.limit);
    l["value_s"] = r.value_s;  // null: misses reach into this percentile
    l["attainment"] = r.attainment;
    l["met"] = r.met;
    v["limits"].push_back(std::move(l));
  }
  return v;
}

Value kv(const Summary& s, const DeploymentFacts& d) {
  Value v = Value::object();
  v["block_tokens"] = d.block_tokens;
  v["blocks_total"] = d.blocks_total();
  v["blocks_per_replica"] = d.blocks;
  v["source"] = d.kv_source;
  v["peak_used_fraction"] = s.kv.peak_used_fraction;
  v["used"] = s.kv.used;
  v["reserved"] = s.kv.reserved;
  v["internal"] = s.kv.internal;
  v["external"] = s.kv.external;
  v["fragmented_fraction"] = s.kv.fragmented_fraction;
  v["preemptions"] = s.kv.preemptions;
  v["preemption_loss_s"] = s.kv.preemption_loss_s;
  v["swaps"] = s.kv.swaps;
  v["prefix_hit_rate"] = s.kv.prefix_hit_rate;
  if (const Summary::Host& h = s.kv.host; h.room > 0) {
    Value tier = Value::object();
    tier["name"] = "dram";
    tier["tokens"] = h.room;
    tier["hit_tokens"] = h.hit_tokens;
    tier["hit_rate"] = h.hit_rate;
    tier["bytes_in"] = h.bytes_in;
    tier["bytes_out"] = h.bytes_out;
    tier["dropped_tokens"] = h.dropped_tokens;
    tier["peak_used_fraction"] = h.peak_used_fraction;
    v["tiers"].push_back(std::move(tier));
  }
  return v;
}

Value tokens(const Summary& s) {
  Value v = Value::object();
  v["computed"] = s.tokens.computed;
  v["delivered"] = s.tokens.delivered;
  v["cached"] = s.tokens.cached;
  v["recomputed"] = s.tokens.recomputed;
  v["wasted"] = s.tokens.wasted;
  v["padded"] = s.tokens.padded;
  v["in_flight"] = s.tokens.in_flight;
  v["prompt"] = s.tokens.prompt;
  v["output"] = s.tokens.output;
  v["drafts"] = 0;
  v["filler"] = 0;
  return v;
}

Value trust(const Summary& s, const DeploymentFacts& d) {
  Value v = Value::object();
  v["error"] = d.error;
  v["calibrated_time_fraction"] = s.calibrated_time_fraction;
  v["grade"] = name(s.grade);
  v["validated"] = d.validated;
  v["real_engine_check"] = d.executor == "model" ? d.real_engine_check
                                                 : "this is a real engine: executor " + d.executor + ", " + d.clock;
  Value& by_grade = v["time_by_grade_s"];
  for (std::size_t g = 0; g < s.time_by_grade_s.size(); ++g)
    by_grade[name(static_cast<Grade>(g))] = s.time_by_grade_s[g];
  return v;
}

/// How far this run was from its limits; every share is of what was simulated, no extrapolation.
Value headroom(const Summary& s, const DeploymentFacts& d) {
  Value v = Value::object();
  if (d.batch_limit > 0) v["batch_limit"] = d.batch_limit;
  v["idle_fraction"] = std::max(0.0, 1 - s.busy);
  v["kv_never_used_fraction"] = std::max(0.0, 1 - s.kv.peak_used_fraction);
  const SloResult* tightest = nullptr;
  const auto margin = [](const SloResult& r) { return 1 - r.value_s / to_seconds(r.limit.limit); };
  for (const SloResult& r : s.slo.limits) {
    if (tightest == nullptr || margin(r) < margin(*tightest)) tightest = &r;
  }
  if (tightest != nullptr) {
    v["tightest_slo"] = slo_key(tightest->limit);
    v["slo_margin_fraction"] = margin(*tightest);  // negative: missed; null: misses reach the percentile
  }
  return v;
}

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

Value cold_starts(const ColdStarts& c) {
  const auto times = [](const ColdStarts::Times& t) {
    Value v = Value::object();
    v["count"] = t.count;
    v["mean_s"] = t.mean_s;
    v["p99_s"] = t.p99_s;
    return v;
  };
  Value v = times(c.all);
  v["by_tier"] = Value::object();
  for (std::size_t i = 0; i < c.by_tier.size(); ++i)
    if (c.by_tier[i].count > 0) v["by_tier"][name(static_cast<Tier>(i))] = times(c.by_tier[i]);
  return v;
}

/// Where the time of replicas went; `time` adds up to 1. What is known of no step is left out.
void add_times(Value& out, const TimeShares& t) {
  Value& v = out["time"];
  v["idle"] = t.idle;
  v["host"] = t.host;
  v["network"] = t.network;
  v["swap"] = t.swap;
  v["lost"] = t.lost;
  v["memory"] = t.memory;
  v["compute"] = t.compute;
  v["unknown"] = t.unknown;
  if (t.memory + t.compute <= 0) return;
  out["roofline"] = t.roofline;
  out["decode_memory"] = t.decode_memory;
  out["prompt_memory"] = t.prompt_memory;
}

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

Value provenance_of(const RunResult& r) {
  Value v = Value::object();
  v["version"] = ORRERY_VERSION;
  v["command"] = r.command;
  v["config"] = r.config_path;
  v["inputs"] = Value::array();
  for (const InputFact& i : r.inputs) {
    Value input = Value::object();
    input["role"] = i.role;
    input["name"] = i.name;
    input["from"] = i.place;
    if (!i.hash.empty()) input["hash"] = i.hash;
    v["inputs"].push_back(std::move(input));
  }
  v["hardware_models"] = Value::array();
  v["hardware_models"].push_back(r.deployment.cost);
  v["plugins"] = strings(r.plugins);
  v["deployment"] = strings(r.deployment.provenance);
  return v;
}

Value deployment_of(const DeploymentFacts& d) {
  Value v = Value::object();
  v["model"] = d.model;
  v["dtype"] = d.dtype;
  v["hardware"] = d.hardware;
  v["cost_model"] = d.cost;
  v["executor"] = d.executor;
  if (!d.clock.empty()) v["clock"] = d.clock;
  v["replicas"] = d.replicas;
  v["tp"] = d.tp;
  v["pp"] = d.pp;
  v["gpus"] = d.gpus();
  v["weight_bytes_per_gpu"] = d.weight_bytes_per_gpu;
  v["kv_bytes_per_token"] = d.kv_bytes_per_token;
  if (d.max_context > 0) v["max_context"] = d.max_context;
  v["engine"] = d.engine.empty() ? "none" : d.engine;
  v["host_terms_of"] = d.host_engine;
  v["host"] = d.host_source;
  return v;
}

Value simulator_of(const RunResult& r) {
  std::int64_t events = 0, steps = 0, iterations = 0;
  double simulated = 0;
  for (const auto* part : {&r.replications, &r.resamples, &r.perturbed}) {
    for (const Replication& one : *part) {
      events += one.outcome.events;
      steps += one.outcome.summary.steps;
      iterations += one.outcome.iterations;
      simulated += one.outcome.summary.duration_s;
    }
  }
  Value v = Value::object();
  v["wall_s"] = r.simulator.wall_s;
  v["cpu_s"] = r.simulator.cpu_s;
  v["events"] = events;
  v["steps"] = steps;   // as the engine took them: fewer where several iterations are one
  v["iterations"] = iterations;
  v["peak_rss_bytes"] = r.simulator.peak_rss_bytes;
  v["speed_over_real_time"] = r.simulator.wall_s > 0 ? simulated / r.simulator.wall_s : 0.0;
  return v;
}

}  // namespace

std::string hex16(std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) out[static_cast<std::size_t>(i)] = digits[value & 15u];
  return out;
}

std::string hash_text(std::string_view text) {
  std::uint64_t h = text.size();
  for (const char c : text) h = hash_combine(h, static_cast<unsigned char>(c));
  return hex16(h);
}

const Value* find_path(const Value& summary, std::string_view dotted) {
  const Value* at = &summary;
  while (at != nullptr && !dotted.empty()) {
    const std::size_t dot = dotted.find('.');
    at = at->find(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? "" : dotted.substr(dot + 1);
  }
  return at;
}

std::optional<Interval> interval_of(const Value& summary, const std::string& dotted) {
  const Value* values = find_path(summary, "intervals.values");
  const Value* pair = values == nullptr ? nullptr : values->find(dotted);
  if (pair == nullptr) return std::nullopt;
  return Interval{pair->items()[0].as_double(), pair->items()[1].as_double()};
}

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
