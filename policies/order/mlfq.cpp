#include "policies/order/mlfq.hpp"

namespace orrery {

void describe(Describer& d, MlfqConfig& c) {
  d.field("quantum", c.quantum, {1, 1048576},
          "Tokens of work at the top level; each level has twice that of the one above");
  d.field("levels", c.levels, {1, 16}, "Number of levels");
  d.field("promote", c.promote, {0.001, 86400}, "Waiting this long makes up for one level");
}

Mlfq::Place Mlfq::place(const Call& call, const Progress& progress) const {
  Tokens quantum = config_.quantum, used{progress.emitted};
  std::int64_t level = 0;
  for (; level + 1 < config_.levels && quantum < Tokens{call.prompt}; quantum += quantum) ++level;      // skip-join
  for (; level + 1 < config_.levels && used >= quantum; used -= quantum, quantum += quantum) ++level;   // demotion
  return {level, level + 1 < config_.levels ? quantum - used : Tokens::max()};
}

std::int64_t Mlfq::key(CallId, const Call& call, const Progress& progress, const StationView*) const {
  return to_ps(call.arrival) / 1000 + place(call, progress).level * (to_ps(config_.promote) / 1000);
}

Tokens Mlfq::steady(const Call& call, const Progress& progress) const { return place(call, progress).left; }

}  // namespace orrery
