#include "experiments/screen.hpp"

#include <cmath>

#include "experiments/screen/sections.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery {
namespace {

using namespace screen;

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

std::string screen_of(const Value& s, const std::string& more) {
  std::string out = head_line(s) + deployment_lines(s) + latency_table(s) + requests_line(s) + rate_lines(s) +
                    state_line(s) + power_lines(s) + incident_lines(s) + time_lines(s) + headroom_line(s) +
                    trust_lines(s) + more;
  const std::string missed = missed_slo(s);
  return missed.empty() ? out : out + missed + "\n";
}

}  // namespace orrery
