#include "policies/batching/orca.hpp"

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, OrcaConfig& c) {
  d.field("max_running", c.max_running, {1, 65536}, "Calls in one batch (max_bs)");
}

void Orca::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  auto batch = decode_all(station, plan, config_.max_running).value();   // r.state == INCREMENT: batched already
  for (CallId call : newcomers(station, plan)) {                         // r.state == INITIATION, by arrival
    if (batch >= config_.max_running || !plan.admit(call)) break;        // n_rsrv + r.max_tokens > n_slots
    plan.prefill(call, Tokens::max());
    ++batch;
  }
}

}  // namespace orrery
