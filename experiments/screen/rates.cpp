#include "experiments/screen/sections.hpp"

#include <cmath>
#include <string_view>
#include <utility>

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

std::string replications_met(const Value& s) {
  if (find_path(s, "slo.replications_met") == nullptr) return "";
  return " | SLO met in " + std::to_string(count_at(s, "slo.replications_met")) + " of " +
         std::to_string(s.at("seeds").items().size()) + " replications";
}

}  // namespace

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

}  // namespace orrery::screen
