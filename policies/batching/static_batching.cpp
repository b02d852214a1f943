#include "policies/batching/static_batching.hpp"

#include "policies/batching/rectangle.hpp"
#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, StaticBatchingConfig& c) {
  d.field("max_running", c.max_running, {1, 65536}, "Calls in one batch (max_bs)");
}

void StaticBatching::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  if (decode_batch(station, plan, config_.max_running) > 0_tok) return plan.pad(decode_padding(station));
  if (station.group.size > 0 || !station.held.empty() || station.running > 0) return;
  int batch = 0;
  for (CallId call : newcomers(station, plan)) {   // the last batch ran to its longest answer: the next one
    if (batch++ == config_.max_running || !plan.admit(call)) break;
    plan.prefill(call, Tokens::max());
  }
  plan.pad(prefill_padding(plan));
}

}  // namespace orrery
