/// Splitwise: prompt and token machines with a mixed pool between them (Patel et al., ISCA'24, section IV).
/// A request is given a prompt machine and a token machine when it arrives, each by join-shortest-queue: prompt
/// machines by pending tokens (prompts, and one for each call that decodes), token machines by KV memory reserved.
/// Where the best prompt machine has a queue that would pass `queue_tokens`, or the best token machine no memory left,
/// a machine of the mixed pool serves, or one is taken into it from the other side; where that fails, too, the least
/// pending of all runs both phases. A mixed machine that drains goes home. KV goes layer by layer during the prompt,
/// all at once after short ones.
///
/// Defaults: 8192 tokens and 512 tokens (authors' simulator, splitwise-sim @ 8f99e7dc9b40, MixedPoolScheduler, and the
/// paper's section IV-C for the H100). Machine level: use batching "vllm" (prompts first) with 2,048 tokens.
/// Modelled: machine choice, mixed pool, transfer, memory reservation at the token machine.
/// Not modelled: preemption limits and ageing inside mixed machines. The authors' simulator reserves for the true
/// output length; here it is the predicted one, so without a predictor prompts alone count. A machine goes home when
/// nothing is left there or on its way to it, there as soon as nothing is in its queues.
///
///   "cluster": {"pools": [{"name": "prompt", "role": "prefill", ...}, {"name": "token", "role": "decode", ...}],
///               "links": [{"from": "prompt", "to": "token", "bandwidth": "200GB/s"}]},
///   "policy": {"cluster": {"name": "splitwise"}}
#pragma once

#include "sim/cluster.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SplitwiseConfig {
  Tokens queue_tokens = 8192_tok;       ///< pending at a prompt machine, beyond which another serves
  Tokens serialized_below = 512_tok;    ///< prompts shorter than this send their KV at once, afterwards
};
void describe(Describer&, SplitwiseConfig&);

class Splitwise final : public ClusterPolicy {
 public:
  using Config = SplitwiseConfig;
  explicit Splitwise(SplitwiseConfig config) : config_(config) {}
  Placement route(CallId, Cluster&, Rng) override;
  StationId decode_at(CallId, StationId at, const Cluster&, Rng) override;
  Transfer transfer(CallId, const Cluster&) const override;
  void on_idle(StationId, Cluster&) override;

 private:
  StationId prompt_machine(const Call&, const Cluster&, Role) const;
  StationId token_machine(const Call&, const Cluster&, Role) const;
  SplitwiseConfig config_;
};

}  // namespace orrery
