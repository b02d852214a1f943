#include "experiments/screen/sections.hpp"

#include "experiments/screen.hpp"
#include "experiments/screen/text.hpp"
#include "experiments/summary.hpp"

namespace orrery::screen {
namespace {

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

}  // namespace

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

}  // namespace orrery::screen
