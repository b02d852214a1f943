#include "policies/disaggregation/splitwise.hpp"

#include "policies/disaggregation/least.hpp"

namespace orrery {
namespace {

template <class Value>
StationId least_of(const Cluster& cluster, Role role, Value value) {
  return least(cluster, [role](const Instance& x) { return x.role == role; }, value);
}

Tokens pending_prompts(const Instance& x) { return x.load->prompt_tokens; }

/// Prompt and expected output tokens of all that is or will be here.
Tokens reserved(const Instance& x) { return x.load->tokens + x.inbound_tokens; }

}  // namespace

void describe(Describer& d, SplitwiseConfig& c) {
  d.field("queue_tokens", c.queue_tokens, {1, 1e9}, "Prompt tokens pending at a machine beyond which another serves");
  d.field("serialized_below", c.serialized_below, {0, 1e9}, "Prompts shorter than this send their KV after the prompt");
}

StationId Splitwise::prompt_machine(const Call& call, const Cluster& cluster, Role role) const {
  const StationId best = least_of(cluster, role, pending_prompts);
  if (!best.valid()) return {};
  const StationLoad& load = *cluster.instance(best).load;
  const bool too_long = load.waiting > 0 && load.prompt_tokens + call.prompt > config_.queue_tokens;
  return too_long ? StationId{} : best;
}

StationId Splitwise::token_machine(const Call& call, const Cluster& cluster, Role role) const {
  const StationId best = least_of(cluster, role, reserved);
  if (!best.valid()) return {};
  const KvState kv = cluster.kv(best);
  const Tokens need = reserved(cluster.instance(best)) + call.prompt + call.predicted_high;
  return kv.blocks_for(need) >= kv.total ? StationId{} : best;
}

Placement Splitwise::route(CallId id, Cluster& cluster, Rng) {
  const Call& call = cluster.call(id);
  StationId prompt = prompt_machine(call, cluster, Role::kPrefill), token = token_machine(call, cluster, Role::kDecode);
  if (!prompt.valid()) prompt = prompt_machine(call, cluster, Role::kMixed);
  if (!token.valid()) token = token_machine(call, cluster, Role::kMixed);
  if (!prompt.valid()) {   // take one from the token side
    prompt = least_of(cluster, Role::kDecode, pending_prompts);
    if (prompt.valid()) cluster.set_role(prompt, Role::kMixed);
  }
  if (!token.valid()) {
    token = least_of(cluster, Role::kPrefill, reserved);
    if (token.valid()) cluster.set_role(token, Role::kMixed);
  }
  if (prompt.valid() && token.valid()) return Placement::split(prompt, token);
  const StationId any = least_of(cluster, Role::kMixed, pending_prompts);
  if (prompt.valid() || token.valid() || !any.valid()) {
    const StationId one = prompt.valid() ? prompt : token;
    return one.valid() ? Placement::at(one) : Placement::hold();
  }
  return Placement::at(any);
}

Transfer Splitwise::transfer(CallId id, const Cluster& cluster) const {
  return Tokens{cluster.call(id).prompt} < config_.serialized_below ? Transfer::kSerialized : Transfer::kLayerwise;
}

/// A mixed machine that has drained returns to its pool.
void Splitwise::on_idle(StationId s, Cluster& cluster) { cluster.set_role(s, cluster.pool_of(s).role); }

}  // namespace orrery
