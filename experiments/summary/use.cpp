#include "experiments/summary/sections.hpp"

#include <algorithm>

#include "experiments/run_config.hpp"

namespace orrery::summary {

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

}  // namespace orrery::summary
