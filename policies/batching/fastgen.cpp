#include "policies/batching/fastgen.hpp"

#include <algorithm>

#include "policies/batching/steps.hpp"

namespace orrery {
namespace {

/// Are blocks free for all that is left of this prompt?
bool whole_prompt_fits(const StationView& s, const BatchPlan& plan, CallId call) {
  const bool waits = s.progress(call).stage == Stage::kWaiting;
  const Progress& p = s.progress(call);
  const Tokens have = waits ? s.cached_prefix(call) : Tokens{std::max(p.computed, p.reserved)};
  return s.kv.contiguous || s.kv.blocks_for(s.target(call)) - s.kv.blocks_for(have) <= plan.available();
}

}  // namespace

void describe(Describer& d, FastGenConfig& c) {
  d.field("token_budget", c.token_budget, {1, 1048576}, "Tokens per forward pass (max_ragged_batch_size)");
  d.field("max_running", c.max_running, {1, 65536}, "Sequences per forward pass (max_ragged_sequence_count)");
}

void FastGen::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  const Tokens decodes = decode_all(station, plan, config_.max_running);   // 1. token generation first
  const Tokens left = prompts(station, plan, config_.token_budget - decodes);   // 2. prompts fill the rest
  const bool stuck = plan.empty() && !station.prefilling.empty();          // 3. deadlock: the last starts over
  if (stuck) plan.preempt(victim(station, plan), Leave::kRecompute);
  plan.repeat.chunk = left <= 0_tok;
}

/// Returns what they leave.
Tokens FastGen::prompts(const StationView& station, BatchPlan& plan, Tokens left) const {
  for (CallId call : station.prefilling) {
    if (plan.has_left(call)) continue;
    if (left <= 0_tok || !whole_prompt_fits(station, plan, call)) return left;
    left -= plan.prefill(call, left);
  }
  for (CallId call : newcomers(station, plan)) {
    if (left <= 0_tok || plan.running() >= config_.max_running) return left;
    if (!whole_prompt_fits(station, plan, call) || !plan.admit(call, left)) return left;
    left -= plan.prefill(call, left);
  }
  return left;
}

}  // namespace orrery
