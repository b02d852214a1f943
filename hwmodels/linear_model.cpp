#include "hwmodels/linear_model.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "sim/config/units.hpp"

namespace orrery {
namespace {

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

}  // namespace

StepRun LinearCostModel::price(std::span<const StepShape> members, int) const {
  StepRun longest;
  bool any = false, chunks = false;
  for (const StepShape& s : members) {
    const std::int64_t tokens = s.decodes.value() + s.prefill.value() + s.draft.value();
    StepRun run;
    run.first = cost_.base + tokens * cost_.per_token + s.decode_context.value() * cost_.per_context +
                s.sequences * cost_.per_sequence;
    run.step = s.decodes.value() * cost_.per_context;
    run.e_first = cost_.per_step + tokens * cost_.per_token_energy;
    run.grade = Grade::kMeasured;  // exact by definition
    chunks = chunks || s.prefill.value() > 0;
    if (!any || run.first > longest.first) longest = run;
    any = true;
  }
  longest.valid = chunks || members.size() > 1 ? 1 : std::numeric_limits<std::int64_t>::max() / 4;
  return longest;
}

Duration LinearCostModel::hop(Tokens) const { return cost_.hop; }

LinearCost parse_linear_cost(std::string_view text) {
  LinearCost cost;
  const std::string where = "cost \"" + std::string(text) + "\": ";
  bool seen[4] = {};
  while (true) {
    const std::size_t plus = text.find('+');
    const std::string term = trimmed(text.substr(0, plus));
    const std::size_t star = term.find('*');
    const std::string per = star == std::string::npos ? "" : trimmed(std::string_view(term).substr(star + 1));
    const std::string_view known[] = {"", "token", "context", "sequence"};
    const auto kind = static_cast<std::size_t>(std::find(std::begin(known), std::end(known), per) - std::begin(known));
    if (kind == 4) throw ConfigError(where + "unknown quantity \"" + per + "\"; known: token, context, sequence");
    if (seen[kind]) throw ConfigError(where + "two terms of the same kind");
    seen[kind] = true;
    Duration d{};
    try {
      d = parse_duration(Value(trimmed(term.substr(0, star))));
    } catch (const ConfigError& e) {
      throw ConfigError(where + e.what());
    }
    if (d < Duration{}) throw ConfigError(where + "a negative time");
    (kind == 0 ? cost.base : kind == 1 ? cost.per_token : kind == 2 ? cost.per_context : cost.per_sequence) = d;
    if (plus == std::string_view::npos) return cost;
    text.remove_prefix(plus + 1);
  }
}

}  // namespace orrery
