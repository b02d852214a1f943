#include "experiments/screen/sections.hpp"

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

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

}  // namespace

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

}  // namespace orrery::screen
