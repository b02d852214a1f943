#include "experiments/screen.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "experiments/summary.hpp"

namespace orrery {
namespace {

double number_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_number() ? v->as_double() : std::nan("");
}

std::string text_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_string() ? v->as_string() : "";
}

std::int64_t count_at(const Value& s, std::string_view path) {
  const Value* v = find_path(s, path);
  return v != nullptr && v->is_number() ? v->as_int() : 0;
}

std::string joined(const Value& list, std::string_view separator) {
  std::string out;
  for (const Value& v : list.items()) out += (out.empty() ? "" : std::string(separator)) + v.as_string();
  return out;
}

/// The source of a number as the screen names it; the file has all of it.
std::string short_source(const std::string& source, std::string_view stops) {
  std::size_t end = std::min(source.size(), source.find_first_of(stops));
  for (const char* stop : {" (", "; ", ": "}) {
    if (source.size() > 60) end = std::min(end, source.find(stop));
  }
  return source.substr(0, end);
}

std::string padded(std::string text, std::size_t width) {
  std::size_t shown = 0;
  for (const char c : text) shown += (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;  // UTF-8 code points
  if (shown < width) text.append(width - shown, ' ');
  return text;
}

/// " label      rest"; long rests continue below.
std::string line(std::string_view label, std::string_view rest) {
  constexpr std::size_t kLabel = 12, kWidth = 118;
  std::string out;
  std::string head(label);
  while (true) {
    std::size_t cut = rest.size();
    if (cut > kWidth - kLabel) {
      cut = rest.rfind(' ', kWidth - kLabel);
      if (cut == std::string_view::npos || cut == 0) cut = rest.size();
    }
    out += " " + padded(head, kLabel - 1) + std::string(rest.substr(0, cut)) + "\n";
    if (cut >= rest.size()) return out;
    rest = rest.substr(cut + 1);
    head = "";
  }
}

/// Milliseconds below 10 s, for a column.
std::string cell(double s) {
  if (std::isnan(s)) return "-";
  if (std::isinf(s)) return "never";
  return s < 9.9995 ? significant(s * 1e3, 3) : significant(s, 3) + " s";
}

std::string bracket(const Value& s, const std::string& path, double scale) {
  const auto i = interval_of(s, path);
  return i ? " [" + significant(i->low * scale, 3) + ", " + significant(i->high * scale, 3) + "]" : "";
}

struct Row {
  std::string label, target, verdict;
};

/// Targets and verdict of a metric, with the smallest share of requests within one of its limits.
Row slo_row(const Value& s, std::string_view metric) {
  Row row;
  double within = 1;
  const Value* limits = find_path(s, "slo.limits");
  if (limits == nullptr) return row;
  for (const Value& l : limits->items()) {
    const std::string& key = l.at("key").as_string();
    if (key.substr(0, key.rfind("_p")) != metric) continue;
    const bool met = l.at("met").as_bool();
    row.target += (row.target.empty() ? "" : ", ") + key.substr(key.rfind("_p") + 1) + " " +
                  seconds_text(l.at("limit_s").as_double());
    row.verdict = met && row.verdict != "MISSED" ? "MET" : "MISSED";
    within = std::min(within, l.at("attainment").as_double());
  }
  if (!row.verdict.empty()) row.verdict += " (" + percent(within) + ")";
  return row;
}

std::string latency_table(const Value& s) {
  std::string out = " " + padded("ms", 11) + padded("target", 15) + padded("mean", 9) + padded("p50", 9) +
                    padded("p90", 9) + padded("p99", 9) +
                    (find_path(s, "intervals.values") ? padded("max", 10) + "p99 [95 % CI]\n" : "max\n");
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> metrics{
      {{"ttft", "TTFT"}, {"tpot", "TPOT"}, {"itl", "ITL"}, {"e2e", "E2E"}, {"queue", "queue"}}};
  for (const auto& [key, label] : metrics) {
    const Row row = slo_row(s, key);
    const std::string base = std::string(key) + "_s";
    out += " " + padded(std::string(label), 11) + padded(row.target, 15);
    for (const auto* q : {"mean", "p50", "p90", "p99"}) out += padded(cell(number_at(s, base + "." + q)), 9);
    std::string rest = padded(cell(number_at(s, base + ".max")), 10);
    const std::string interval = bracket(s, base + ".p99", 1e3);
    if (!interval.empty()) rest += padded(interval.substr(1), 20);
    out += rest + row.verdict;
    while (out.back() == ' ') out.pop_back();
    out += "\n";
  }
  return out;
}

std::string head_line(const Value& s) {
  const std::size_t reps = s.at("seeds").items().size();
  const std::int64_t offered = count_at(s, "requests.offered");
  std::string out = "orrery " + text_at(s, "provenance.version") + "  " + text_at(s, "provenance.config") +
                    "  config " + text_at(s, "config_hash").substr(0, 8) + "  seed " +
                    std::to_string(count_at(s, "seed"));
  out += reps > 1 ? "  " + std::to_string(reps) + " replications, " : "  ";
  out += grouped(offered) + (reps > 1 ? " requests in all" : " requests");
  out += "  " + significant(number_at(s, "simulator.wall_s"), 3) + " s (" +
         grouped(std::llround(number_at(s, "simulator.speed_over_real_time"))) + "x real time)\n";
  if (s.at("interrupted").as_bool()) out += " INTERRUPTED: the results below are of the part that was simulated\n";
  return out;
}

/// "prompt 2 x h100-sxm tp4 prefill | token 3 x h200-sxm tp4 decode"
std::string pools_text(const Value& pools) {
  std::string out;
  for (const Value& p : pools.items())
    out += (out.empty() ? "" : " | ") + p.at("name").as_string() + " " +
           std::to_string(p.at("replicas").as_int()) + " x " + p.at("hardware").as_string() + " tp" +
           std::to_string(p.at("tp").as_int()) + " " + p.at("role").as_string();
  return out;
}

std::string incident_whom(const Value& i) {
  const std::string& pool = i.at("pool").as_string();
  if (i.find("to") != nullptr) return "the link from " + pool + " to " + i.at("to").as_string();
  return std::to_string(i.at("instances").as_int()) + " x " + pool;
}

std::string incident_harm(const Value& i) {
  return grouped(i.at("requests_hurt").as_int()) + " requests hurt, " + grouped(i.at("requests_missed").as_int()) +
         " missed, " + significant(i.at("slo_minutes_lost").as_double(), 3) + " SLO minutes lost";
}

/// "at 1,200 s fail of 2 x chat, noticed after 10 s, restored 900 s, service recovered 960 s; 120 requests hurt, ..."
std::string incident_text(const Value& i) {
  const auto after = [&](const char* key, const char* what, const char* never) {
    const Value& v = i.at(key);
    return v.is_null() ? std::string(never) : what + significant(v.as_double(), 4) + " s";
  };
  const Value& recovered = i.at("recovered_s");
  std::string service = ", service not recovered";
  if (!recovered.is_null()) service = ", service recovered " + significant(recovered.as_double(), 4) + " s";
  else if (i.at("recovered").as_string() == "not seen") service = ", recovery not seen";
  return "at " + significant(i.at("at_s").as_double(), 6) + " s " + i.at("what").as_string() + " of " +
         incident_whom(i) +
         after("detect_s", ", noticed after ", "") + after("restored_s", ", restored ", ", not restored") +
         service + "; " + incident_harm(i);
}

/// "12 x fail of chat (23 instances); restored 900 s on average, at most 1,020 s; service recovered 40 s on average, at
/// most 90 s (in 9, not in 2, not seen in 1); ..."
std::string total_text(const Value& t) {
  const auto times = [&](const char* key, const char* what) -> std::string {
    const Value& v = t.at(key);
    if (v.at("count").as_int() == 0) return "";
    return what + significant(v.at("mean").as_double(), 4) + " s on average, at most " +
           significant(v.at("max").as_double(), 4) + " s";
  };
  const auto in = [&](const char* key, const std::string& what) -> std::string {
    const std::int64_t n = t.at("recovered").at(key).as_int();
    return n > 0 ? what + " in " + std::to_string(n) : "";
  };
  return grouped(t.at("count").as_int()) + " x " + t.at("what").as_string() + " of " + incident_whom(t) +
         times("detect_s", "; noticed after ") + times("restored_s", "; restored ") +
         times("recovered_s", "; service recovered ") + in("yes", ",") + in("no", "; service not recovered") +
         in("not_seen", "; recovery not seen") + "; " + incident_harm(t);
}

/// The first of the incidents, and how many more there are; of several replications, what they come to by event.
std::string incident_lines(const Value& s) {
  constexpr std::size_t kShown = 8;
  std::string out;
  const Value* incidents = find_path(s, "incidents");
  if (incidents == nullptr) return out;
  if (s.at("seeds").items().size() > 1) {
    for (const Value& t : s.at("incidents_by_event").items())
      out += line(out.empty() ? "incidents" : "", total_text(t));
    return out;
  }
  const auto all = incidents->items();
  for (std::size_t i = 0; i < all.size() && i < kShown; ++i)
    out += line(i == 0 ? "incidents" : "", incident_text(all[i]));
  if (all.size() > kShown) out += line("", "and " + std::to_string(all.size() - kShown) + " more, in summary.json");
  return out;
}

/// "mean 512 W, peak 620 W is 88.6 % of 700 W, rise in 40 s 12.0 % | 3 caps, 40.0 s capped | no brake"
std::string domain_text(const Value& p) {
  const auto watts = [&](const char* key) { return significant(p.at(key).as_double(), 4) + " W"; };
  const std::int64_t caps = p.at("caps").as_int(), brakes = p.at("brakes").as_int();
  return "mean " + watts("mean_w") + ", peak " + watts("peak_w") + " is " + percent(p.at("peak_fraction").as_double()) +
         " of " + watts("budget_w") + ", rise in 40 s " + percent(p.at("max_rise_40s").as_double()) + " | " +
         (caps == 0 ? "no cap"
                    : grouped(caps) + (caps == 1 ? " cap, " : " caps, ") +
                          significant(p.at("capped_s").as_double(), 3) + " s capped") +
         (brakes == 0 ? " | no brake" : " | BRAKED " + grouped(brakes) + (brakes == 1 ? " time, " : " times, ") +
                                            significant(p.at("braked_s").as_double(), 3) + " s");
}

std::string power_lines(const Value& s) {
  const Value* power = find_path(s, "power");
  if (power == nullptr) return "";
  const Value* domains = power->find("domains");
  if (domains == nullptr) return line("power", domain_text(*power));
  std::string out;
  for (const Value::Member& m : domains->members())
    out += line(out.empty() ? "power" : "", m.first + ": " + domain_text(m.second));
  return out;
}

/// What the search for the pools found.
std::string placement_line(const Value& s) {
  const Value* p = find_path(s, "placement");
  if (p == nullptr) return "";
  std::string pools;
  for (const Value& one : p->at("pools").items()) {
    pools += (pools.empty() ? "" : " | ") + std::to_string(one.at("replicas").as_int()) + " x " +
             one.at("name").as_string() + " tp" + std::to_string(one.at("tp").as_int());
    if (one.at("pp").as_int() > 1) pools += " pp" + std::to_string(one.at("pp").as_int());
  }
  return line("placement", p->at("algorithm").as_string() + ": " + pools + " on " + grouped(p->at("gpus").as_int()) +
                               " GPUs | goodput " + significant(p->at("goodput_rps").as_double(), 4) + " req/s, " +
                               significant(p->at("goodput_per_gpu").as_double(), 3) + " per GPU | found by " +
                               grouped(p->at("simulations").as_int()) + " simulations");
}

std::string deployment_lines(const Value& s) {
  const Value* pools = find_path(s, "pools");
  std::string what = text_at(s, "deployment.model") + " " + text_at(s, "deployment.dtype") + " on ";
  if (pools != nullptr) {
    what += pools_text(*pools) + " | KV peak " + percent(number_at(s, "kv.peak_used_fraction")) + " of an instance, " +
            significant(number_at(s, "cluster.kv_bytes_moved") * 1e-9, 3) + " GB moved, " +
            grouped(count_at(s, "migrations")) + " migrations";
  } else {
    what += std::to_string(count_at(s, "deployment.replicas")) + " x " + text_at(s, "deployment.hardware") + " tp" +
            std::to_string(count_at(s, "deployment.tp"));
    if (count_at(s, "deployment.pp") > 1) what += " pp" + std::to_string(count_at(s, "deployment.pp"));
    what += " | KV " + grouped(count_at(s, "kv.blocks_per_replica")) + " blocks x" +
            std::to_string(count_at(s, "kv.block_tokens")) + " a replica, " +
            short_source(text_at(s, "kv.source"), ":;") + ", peak " + percent(number_at(s, "kv.peak_used_fraction"));
  }
  std::string policy = text_at(s, "policy.batching") + " | queue " + text_at(s, "policy.order") + " | KV " +
                       text_at(s, "policy.kv") +
                       (find_path(s, "policy.cluster") == nullptr ? " | router " + text_at(s, "policy.router")
                                                                  : " | cluster " + text_at(s, "policy.cluster"));
  if (find_path(s, "predictor") != nullptr) {
    policy += " | lengths by " + text_at(s, "predictor.name") +
              (find_path(s, "predictor.oracle")->as_bool() ? " (ORACLE: knows the truth)"
                                                           : ", right " + percent(number_at(s, "predictor.accuracy")));
  }
  std::string engine = text_at(s, "deployment.engine");
  if (engine == "none") engine = "none named, host terms of " + text_at(s, "deployment.host_terms_of");
  std::string workload = text_at(s, "workload.text");
  if (const std::string notes = joined(*find_path(s, "workload.notes"), "; "); !notes.empty())
    workload += " (" + notes + ")";
  const std::string convention = text_at(s, "metrics_convention");
  const std::string metrics = convention == "vllm" ? "" : line("metrics", "as " + convention + " defines them");
  return metrics + line("model", what) + placement_line(s) + line("workload", workload) + line("policy", policy) +
         line("engine", engine + " | " + short_source(text_at(s, "deployment.host"), ""));
}

std::string requests_line(const Value& s) {
  std::string out =
      grouped(count_at(s, "requests.completed")) + " of " + grouped(count_at(s, "requests.offered")) + " done";
  for (const auto* key : {"rejected", "failed", "cancelled", "timed_out", "in_flight"}) {
    const std::int64_t n = count_at(s, std::string("requests.") + key);
    if (n > 0) out += ", " + grouped(n) + " " + (std::string_view(key) == "in_flight" ? "in flight" : key);
  }
  const std::int64_t cut = count_at(s, "requests.cut_to_context");
  if (cut > 0) out += ", " + grouped(cut) + " cut to the model's context";
  return line("requests", out);
}

std::string replications_met(const Value& s) {
  if (find_path(s, "slo.replications_met") == nullptr) return "";
  return " | SLO met in " + std::to_string(count_at(s, "slo.replications_met")) + " of " +
         std::to_string(s.at("seeds").items().size()) + " replications";
}

std::string rate_lines(const Value& s) {
  std::string out;
  if (find_path(s, "slo.limits") != nullptr) {
    out += line("goodput", significant(number_at(s, "slo.goodput_rps"), 4) + bracket(s, "slo.goodput_rps", 1) +
                               " good req/s of " + significant(number_at(s, "throughput.offered_per_s"), 4) +
                               " offered | attainment " + percent(number_at(s, "slo.attainment")) +
                               bracket(s, "slo.attainment", 100) + replications_met(s));
  }
  out += line("throughput",
              significant(number_at(s, "throughput.requests_per_s"), 4) + " req/s | prompt " +
                  grouped(std::llround(number_at(s, "throughput.prompt_tokens_per_s"))) + " tok/s | output " +
                  grouped(std::llround(number_at(s, "throughput.output_tokens_per_s"))) + " tok/s, " +
                  grouped(std::llround(number_at(s, "throughput.output_tokens_per_s_per_gpu"))) + " per GPU");
  std::string cost;
  if (find_path(s, "cost") != nullptr) {
    cost = "$" + significant(number_at(s, "cost.usd_per_million_output_tokens"), 3) + " per 1M output tokens ($" +
           significant(number_at(s, "cost.usd_per_hour"), 3) + "/h, " + short_source(text_at(s, "cost.source"), " ,") +
           ") | ";
  }
  const double joules = number_at(s, "energy.joules_per_output_token");
  cost += joules > 0 ? "energy " + significant(joules, 3) + " J per output token" : "energy not known";
  if (find_path(s, "carbon") != nullptr)
    cost += " | " + significant(number_at(s, "carbon.grams_per_1k_output_tokens"), 3) + " gCO2 per 1k output tokens";
  cost += " | busy " + percent(number_at(s, "utilisation.busy"));
  for (const auto& [key, label] : {std::pair{"utilisation.mfu", " MFU "}, std::pair{"utilisation.mbu", " MBU "}}) {
    if (find_path(s, key) != nullptr) cost += label + percent(number_at(s, key));
  }
  if (find_path(s, "utilisation.roofline") != nullptr)
    cost += " | " + percent(number_at(s, "utilisation.roofline")) + " of roofline";
  return out + line("cost", cost);
}

std::string fixed1(double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value == 0 ? 0.0 : value);
  return std::string(text.data()) == "-0.0" ? "0.0" : text.data();
}

std::string state_line(const Value& s) {
  std::string out = text_at(s, "state") + " (waiting requests " +
                    fixed1(60 * number_at(s, "queue_trend.requests_per_s")) + " +/- " +
                    fixed1(60 * number_at(s, "queue_trend.half_width")) + " a minute) | warm-up cut " +
                    seconds_text(number_at(s, "warmup_s")) + " | preemptions " + grouped(count_at(s, "kv.preemptions"));
  if (count_at(s, "kv.swaps") > 0) out += ", swaps " + grouped(count_at(s, "kv.swaps"));
  out += " | prefix hit " + percent(number_at(s, "kv.prefix_hit_rate"));
  if (const Value* tiers = s.at("kv").find("tiers"); tiers != nullptr)
    out += " (" + percent(number_at(tiers->items()[0], "hit_rate")) + " from host memory)";
  return line("state", out);
}

/// Shares of a whole, those that are there: "queue 52 %, own prompt 12 %". Less than half a permille is not shown.
std::string shares_text(const Value& parts, double whole,
                        std::initializer_list<std::pair<const char*, const char*>> names) {
  std::string out;
  for (const auto& [key, label] : names) {
    const Value* part = parts.find(key);
    if (part == nullptr || !(part->as_double() >= 0.0005 * whole) || whole <= 0) continue;
    out += (out.empty() ? "" : ", ") + std::string(label) + " " + percent(part->as_double() / whole);
  }
  return out;
}

std::string slow_line(const Value& s) {
  const Value* parts = find_path(s, "ttft_p99_parts");
  if (parts == nullptr) return "";
  const double mean = parts->at("mean_s").as_double();
  const std::string shares = shares_text(
      *parts, mean, {{"queue_s", "queue"}, {"prefill_alone_s", "own prompt"},
                     {"prefill_beside_others_s", "others in its steps"}, {"prefill_s", "prefill"},
                     {"set_back_s", "set back by preemption"}, {"load_s", "loading weights"},
                     {"retries_s", "earlier attempts"}});
  return line("p99 TTFT", seconds_text(mean) + " (" + grouped(parts->at("requests").as_int()) + " requests of " +
                              seconds_text(parts->at("from_s").as_double()) + " to " +
                              seconds_text(parts->at("to_s").as_double()) + "): " + shares);
}

/// Where the time of replicas goes, and that of the slow first tokens.
std::string time_lines(const Value& s) {
  const Value* time = find_path(s, "utilisation.time");
  if (time == nullptr) return "";
  std::string out = shares_text(*time, 1, {{"memory", "memory"}, {"compute", "arithmetic"}, {"unknown", "steps"},
                                           {"host", "host"}, {"network", "network"}, {"swap", "swapping"},
                                           {"lost", "lost"}, {"idle", "idle"}});
  if (find_path(s, "utilisation.roofline") != nullptr)
    out += " | memory-bound: decode steps " + percent(number_at(s, "utilisation.decode_memory")) + ", with prompts " +
           percent(number_at(s, "utilisation.prompt_memory"));
  return line("bound by", out) + slow_line(s);
}

/// What `--max-rate` found.
std::string max_rate_text(const Value& s) {
  const Value* m = find_path(s, "headroom.max_rate");
  if (m == nullptr) return "";
  const double rate = m->at("per_s").as_double();
  if (rate == 0) return " | no rate meets this SLO";
  std::string out = " | max rate at this SLO " + significant(rate, 4) + " req/s";
  if (const Value* i = m->find("interval"); i != nullptr)
    out += " [" + significant(i->items()[0].as_double(), 4) + ", " + significant(i->items()[1].as_double(), 4) + "]";
  return out + ", " + significant(m->at("of_offered").as_double(), 3) + " x of what is offered";
}

/// What `--clairvoyant` found.
std::string clairvoyant_text(const Value& s) {
  const Value* c = find_path(s, "headroom.clairvoyant");
  if (c == nullptr) return "";
  return " | " + percent(c->at("of_e2e").as_double()) + " of clairvoyant by mean E2E, " +
         percent(c->at("of_ttft").as_double()) + " by mean TTFT, " + percent(c->at("of_goodput").as_double()) +
         " by goodput";
}

std::string headroom_line(const Value& s) {
  std::string out = "running " + significant(number_at(s, "batch.mean_running"), 3) + " on average, at most " +
                    grouped(count_at(s, "batch.max_running"));
  if (find_path(s, "headroom.batch_limit") != nullptr) out += " of " + grouped(count_at(s, "headroom.batch_limit"));
  out += " | KV never used " + percent(number_at(s, "headroom.kv_never_used_fraction"));
  if (const std::string key = text_at(s, "headroom.tightest_slo"); !key.empty()) {
    const double margin = number_at(s, "headroom.slo_margin_fraction");
    out += " | tightest SLO " + key + ", ";
    if (!std::isfinite(margin)) out += "missed by requests that never finish";
    else out += percent(std::abs(margin)) + (margin >= 0 ? " below its limit" : " above its limit");
  }
  return line("headroom", out + max_rate_text(s) + clairvoyant_text(s));
}

std::string trust_lines(const Value& s) {
  const std::string none = text_at(s, "intervals.none");
  std::string intervals = none;
  if (none.empty()) {
    intervals =
        "95 %, " + text_at(s, "intervals.method") + "; random: " + joined(*find_path(s, "intervals.random"), ", ");
    const Value* shares = find_path(s, "intervals.variance_shares");
    const Value* of_ttft = shares == nullptr ? nullptr : shares->find("ttft_s.p99");
    if (of_ttft != nullptr && of_ttft->at("model_error").as_double() > 0) {
      intervals += "; variance of TTFT p99: sampling " + percent(of_ttft->at("sampling").as_double()) +
                   ", model error " + percent(of_ttft->at("model_error").as_double());
    }
  }
  const Value& missing = s.at("not_modelled");
  return line("intervals", intervals) +
         line("trust", percent(number_at(s, "trust.calibrated_time_fraction")) +
                           " of step time inside the fitted range | grade " + text_at(s, "trust.grade") + " | " +
                           text_at(s, "trust.error")) +
         line("not modelled", " " + (missing.items().empty() ? "nothing known" : joined(missing, "; "))) +
         " real-engine check  " + text_at(s, "trust.real_engine_check") + "\n";
}

}  // namespace

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return n < 0 ? "-" + digits : digits;
}

std::string significant(double value, int digits) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return "never";
  if (value == 0) return "0";
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  if (magnitude > 9 || magnitude < -5) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.*e", digits - 1, value);
    return text.data();
  }
  if (magnitude > 3 && magnitude >= digits) return grouped(std::llround(value));
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", std::max(0, digits - magnitude), value);
  return text.data();
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "-";
  const double p = fraction * 100;
  return (p == 0 || p == 100 ? significant(p, 3)
          : p > 100          ? significant(p, 4)
          : p > 99.9         ? std::string(p >= 99.995 ? "99.99" : significant(p, 4))
                             : significant(p, 3)) +
         " %";
}

std::string seconds_text(double s) {
  if (std::isnan(s)) return "-";
  if (std::isinf(s)) return "never";
  const double a = std::abs(s);
  if (a >= 1 || a == 0) return significant(s, 3) + " s";
  if (a >= 1e-3) return significant(s * 1e3, 3) + " ms";
  return significant(s * 1e6, 3) + " us";
}

std::string missed_slo(const Value& summary) {
  std::string out;
  const Value* limits = find_path(summary, "slo.limits");
  if (limits == nullptr) return out;
  for (const Value& l : limits->items()) {
    if (l.at("met").as_bool()) continue;
    const Value* of_class = l.find("class");
    const Value& value = l.at("value_s");
    out += (out.empty() ? "SLO missed: " : "; ") + l.at("key").as_string() +
           (of_class ? " of " + of_class->as_string() : "") + " " +
           (value.is_number() ? seconds_text(value.as_double()) : "never") + " > " +
           seconds_text(l.at("limit_s").as_double());
  }
  return out;
}

std::string screen_of(const Value& s, const std::string& more) {
  std::string out = head_line(s) + deployment_lines(s) + latency_table(s) + requests_line(s) + rate_lines(s) +
                    state_line(s) + power_lines(s) + incident_lines(s) + time_lines(s) + headroom_line(s) +
                    trust_lines(s) + more;
  const std::string missed = missed_slo(s);
  return missed.empty() ? out : out + missed + "\n";
}

}  // namespace orrery
