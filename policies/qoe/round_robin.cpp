#include "policies/qoe/round_robin.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, RoundRobinBatchingConfig& c) {
  d.field("quantum", c.quantum, {1, 100000}, "Iterations of a turn");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once");
  d.field("token_budget", c.token_budget, {1, 1048576}, "Prompt tokens of one iteration; a longer prompt runs alone");
}

void RoundRobinBatching::plan(const StationView& s, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  std::vector<CallId> next(s.swapped.begin(), s.swapped.end());
  next.insert(next.end(), s.waiting.begin(), s.waiting.end());
  if (next.empty()) {
    plan.decode(s.group);
    return;
  }
  plan.repeat = Repeat::once();
  std::sort(next.begin(), next.end(), [&](CallId a, CallId b) {   // fewest turns first
    const auto x = s.progress(a).preemptions, y = s.progress(b).preemptions;
    return x != y ? x < y : s.call(a).number < s.call(b).number;
  });
  make_room(s, plan, next.front());
  plan.decode(s.group);
  take(s, plan, next);
  if (!plan.decodes()) plan.decode(s.group);   // nobody ran, but some came back
}

/// In this order, until one does not fit.
void RoundRobinBatching::take(const StationView& s, BatchPlan& plan, const std::vector<CallId>& next) const {
  Tokens left = config_.token_budget;
  for (CallId call : next) {
    if (plan.running() >= config_.max_running) return;
    if (s.progress(call).stage == Stage::kSwapped) {
      if (!plan.resume(call)) return;
      continue;
    }
    const Tokens prompt = s.target(call) - s.cached_prefix(call);
    if ((prompt > left && !plan.chunks().empty()) || !plan.admit(call)) return;
    left -= plan.prefill(call, Tokens::max());
  }
}

/// Ends turns until the next call would fit.
void RoundRobinBatching::make_room(const StationView& s, BatchPlan& plan, CallId next) const {
  const Tokens room = std::max(s.target(next), s.context(next)) + 1_tok;
  const Blocks need = s.kv.blocks_for(room) + s.kv.watermark + s.group.needed;
  std::vector<CallId> over;
  for (CallId id : s.group.members)
    if (s.progress(id).ran(s.group.clock) >= config_.quantum && s.context(id) < s.kv.largest_lease())
      over.push_back(id);   // one that fills all KV could never come back
  std::sort(over.begin(), over.end(), [&](CallId a, CallId b) {
    const auto x = s.progress(a).ran(s.group.clock), y = s.progress(b).ran(s.group.clock);
    return x != y ? x > y : s.call(a).number < s.call(b).number;
  });
  for (CallId id : over) {
    if (plan.available() >= need) return;
    plan.preempt(id, plan.leaving(id));
  }
}

}  // namespace orrery
