#include "policies/batching/tgi.hpp"

#include <algorithm>

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, TgiConfig& c) {
  d.field("waiting_served_ratio", c.waiting_served_ratio, {0, 1000},
          "Newcomers interrupt the batch if they number at least this fraction of it");
  d.field("max_waiting_tokens", c.max_waiting_tokens, {0, 1000000}, "Or after this many steps without newcomers");
  d.field("token_budget", c.token_budget, {1, 16777216}, "Prompt tokens per step (max_batch_prefill_tokens)");
  d.field("chunked_prefill", c.chunked_prefill, "Mix prompt chunks with decodes");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once (max_concurrent_requests)");
}

void Tgi::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  if (config_.chunked_prefill) return mixed(station, plan);
  const std::int64_t block = station.kv.block_tokens.value(), size = station.group.size;
  const Tokens budget{ceil_div(config_.token_budget.value(), block) * block};
  const std::int64_t since = station.steps_since_admission, patience = config_.max_waiting_tokens;
  const bool just_onboarded = size > 0 && since == 1;             // a decode follows every onboarding
  const bool overdue = size == 0 || since >= patience;
  const auto at_least =
      overdue ? 1 : static_cast<std::int64_t>(static_cast<double>(size) * config_.waiting_served_ratio);
  const auto waiting = static_cast<std::int64_t>(station.waiting.size());
  if (!just_onboarded && waiting >= at_least) {
    BatchPlan onboard = plan;
    if (next_batch(station, onboard, budget) >= std::max<std::int64_t>(at_least, 1)) {
      plan = onboard;
      return;
    }
  }
  decode_all(station, plan, config_.max_running);
  if (waiting > 0 && (just_onboarded || !overdue))                // ask again when patience ends
    plan.repeat.at_most_also(just_onboarded ? 1 : patience - since);
}

void Tgi::mixed(const StationView& station, BatchPlan& plan) const {
  Tokens left = config_.token_budget - decode_all(station, plan, config_.max_running);
  for (CallId call : station.prefilling) left -= plan.continue_prefill(call, std::max(left, 0_tok));
  next_batch(station, plan, left);
}

/// Takes in calls from the front of the queue until one does not fit. Returns how many.
int Tgi::next_batch(const StationView& station, BatchPlan& plan, Tokens left) const {
  int taken = 0;
  for (CallId call : newcomers(station, plan)) {
    const Tokens prompt = station.target(call) - station.cached_prefix(call);
    const bool over = config_.chunked_prefill ? left <= 0_tok : prompt > left && taken > 0;
    if (over || plan.running() >= config_.max_running || !plan.admit(call)) break;
    left -= plan.prefill(call, config_.chunked_prefill ? left : Tokens::max());
    ++taken;
  }
  return taken;
}

}  // namespace orrery
