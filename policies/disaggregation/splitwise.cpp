#include "policies/disaggregation/splitwise.hpp"

#include "policies/disaggregation/least.hpp"

namespace orrery {
namespace {

template <class Value>
StationId least_of(const Cluster& cluster, Role role, Value value) {
  return least(cluster, [role](const Instance& x) { return x.role == role; }, value);
}

/// What the next iterations have to compute: prompts, and one token for each call that decodes here or will.
Tokens pending(const Instance& x) {
  return x.load->prompt_tokens + Tokens{x.load->calls - x.load->waiting + x.inbound};
}

/// Prompt and expected output tokens of all that is or will be here.
Tokens reserved(const Instance& x) { return x.load->tokens + x.inbound_tokens; }

}  // namespace

void describe(Describer& d, SplitwiseConfig& c) {
  d.field("queue_tokens", c.queue_tokens, {1, 1e9}, "Tokens pending at a machine beyond which another serves");
  d.field("serialized_below", c.serialized_below, {0, 1e9}, "Prompts shorter than this send their KV after the prompt");
}

StationId Splitwise::prompt_machine(const Call& call, const Cluster& cluster, Role role) const {
  const StationId best = least_of(cluster, role, pending);
  if (!best.valid()) return {};
  const Instance& x = cluster.instance(best);
  const bool long_queue = x.load->waiting > 0 && pending(x) + call.prompt > config_.queue_tokens;
  return long_queue ? StationId{} : best;
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
    prompt = least_of(cluster, Role::kDecode, pending);
    if (prompt.valid()) cluster.set_role(prompt, Role::kMixed);
  }
  if (!token.valid()) {
    token = least_of(cluster, Role::kPrefill, reserved);
    if (token.valid()) cluster.set_role(token, Role::kMixed);
  }
  if (prompt.valid() && token.valid()) return Placement::split(prompt, token);
  const StationId one = least(cluster, [](const Instance&) { return true; }, pending);   // both phases there
  return one.valid() ? Placement::at(one) : Placement::hold();
}

/// The token machine that was chosen is gone: another, else the prompt machine goes on.
StationId Splitwise::decode_at(CallId id, StationId at, const Cluster& cluster, Rng) {
  for (const Role role : {Role::kDecode, Role::kMixed})
    if (const StationId s = token_machine(cluster.call(id), cluster, role); s.valid()) return s;
  return at;
}

Transfer Splitwise::transfer(CallId id, const Cluster& cluster) const {
  return Tokens{cluster.call(id).prompt} < config_.serialized_below ? Transfer::kSerialized : Transfer::kLayerwise;
}

/// A mixed machine that has drained returns to its pool.
void Splitwise::on_idle(StationId s, Cluster& cluster) { cluster.set_role(s, cluster.pool_of(s).role); }

}  // namespace orrery
