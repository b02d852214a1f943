#include "experiments/screen/sections.hpp"

#include <array>
#include <cmath>
#include <cstdio>

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

std::string fixed1(double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value == 0 ? 0.0 : value);
  return std::string(text.data()) == "-0.0" ? "0.0" : text.data();
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

}  // namespace

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

}  // namespace orrery::screen
