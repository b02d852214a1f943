#include "policies/batching/sglang.hpp"

#include <algorithm>
#include <tuple>

#include "policies/batching/steps.hpp"

namespace orrery {

void describe(Describer& d, SglangConfig& c) {
  d.field("chunk", c.chunk, {1, 1048576}, "Prompt tokens per step, longer prompts are cut (chunked_prefill_size)");
  d.field("prefill_budget", c.prefill_budget, {1, 16777216},
          "No further prompt once a step has these (max_prefill_tokens)");
  d.field("max_running", c.max_running, {1, 65536}, "Calls that may hold KV at once (max_running_requests)");
  d.field("mixed_chunk", c.mixed_chunk, "Running calls decode in prompt steps too");
  d.field("new_token_ratio", c.new_token_ratio, {0, 1}, "Share of max_new set aside for running calls, at first");
  d.field("min_ratio_factor", c.min_ratio_factor, {0, 1}, "And at last, as a factor of that");
  d.field("decay_steps", c.decay_steps, {1, 1000000}, "Decode steps from first to last");
  d.field("clip_max_new", c.clip_max_new, {1, 1048576}, "A call's max_new counts at most this in estimates");
}

Sglang::Sglang(SglangConfig config)
    : config_(config),
      first_(static_cast<std::int64_t>(config.new_token_ratio * (1ll << 32))),
      last_(static_cast<std::int64_t>(config.new_token_ratio * config.min_ratio_factor * (1ll << 32))),
      decay_((first_ - last_) / config.decay_steps),
      ratio_(first_) {}

void Sglang::plan(const StationView& station, BatchPlan& plan) const {
  plan.repeat = Repeat::while_unchanged();
  const bool prompts = !station.prefilling.empty() || !station.waiting.empty();
  const Tokens mixed = config_.mixed_chunk && prompts ? decode_all(station, plan, config_.max_running) : 0_tok;
  prefill(station, plan, mixed);                                     // 1. prompts first
  if (plan.chunks().empty() && !plan.decodes()) decode_all(station, plan, config_.max_running);   // 2. else decode
}

void Sglang::prefill(const StationView& station, BatchPlan& plan, Tokens decoding) const {
  Tokens chunk = config_.chunk - decoding, input = config_.prefill_budget - decoding;
  for (CallId call : station.prefilling) {
    const Tokens computed = plan.continue_prefill(call, std::max(chunk, 0_tok));
    chunk -= computed, input -= computed;
  }
  Tokens future = set_aside(station.group) + decoding;               // tokens that running calls will still want
  for (CallId call : newcomers(station, plan)) {
    const Tokens prompt = station.target(call) - station.cached_prefix(call);
    const Tokens want = Tokens{station.call(call).max_tokens} - station.progress(call).emitted;
    const Tokens room = station.kv.block_tokens * plan.available().value() - future;
    const bool nobody = plan.running() == 0;                         // then there is nothing to wait for
    if (chunk <= 0_tok || plan.running() >= config_.max_running) return;
    if (input <= 0_tok || (prompt >= input && !plan.chunks().empty())) return;
    if (!nobody && prompt + std::min(want, config_.clip_max_new) >= room) {
      plan.repeat = Repeat::once();                                  // the ratio falls with every step
      return;
    }
    if (!plan.admit(call, chunk)) return;
    const Tokens computed = plan.prefill(call, chunk);
    chunk -= computed, input -= computed;
    if (computed == prompt) future += std::min(want, config_.clip_max_new);
  }
}

Tokens Sglang::set_aside(const GroupView& group) const {
  const Tokens want = std::min(group.remaining_max, config_.clip_max_new * group.size);
  return Tokens{static_cast<std::int64_t>(Wide{want.value()} * ratio_ >> 32)};
}

CallId Sglang::victim(const StationView& station, const BatchPlan& plan) const {
  CallId worst;
  auto rank = [&](CallId call) {   // fewest output tokens, then longest prompt, then latest
    const Call& c = station.call(call);
    return std::tuple{-station.emitted(call), c.prompt, c.number};
  };
  for (auto list : {station.group.members, station.prefilling})
    for (CallId call : list)
      if (!plan.has_left(call) && (!worst.valid() || rank(call) > rank(worst))) worst = call;
  return worst;
}

}  // namespace orrery
