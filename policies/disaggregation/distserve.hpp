/// DistServe: prefill and decode on instances of their own, KV pulled by the decoding side (Zhong et al., OSDI'24,
/// section 4.3). Prompts go to the prefill instance with the shortest queue; a prompt that is done is given to the
/// least loaded decode instance, and its KV stays in the prefill instance's memory until the decode instance takes it:
/// when what waits there is small and its blocks are free. A prefill instance whose memory is full of KV nobody has
/// taken starts no new batch; that is the back-pressure.
///
/// Defaults: `waiting_fraction` 0.05 of the decode instance's blocks (authors' code, DistServe @ 82831f1604cc, decoding
/// stage scheduler).
/// With `paired`, decode instance i takes what prefill instance i computed: low node affinity, KV stays inside a node.
/// Modelled: dispatch, pull, back-pressure; placement is searched before a run: /cluster/placement
/// (distserve_placement.hpp).
/// Not modelled: replanning when the workload shifts; the bound on the tokens of a prefill batch at the saturation
/// length: use a batching policy with a token budget of that length on the prefill pool.
///
///   "policy": {"cluster": {"name": "distserve", "waiting_fraction": 0.05}}
#pragma once

#include "policies/disaggregation/shortest_queue.hpp"

namespace orrery {

struct DistServeConfig {
  /// Of a decode instance's blocks, that calls waiting there may need before it takes more.
  double waiting_fraction = 0.05;
  bool paired = false;              ///< decode instance i for prefill instance i
};
void describe(Describer&, DistServeConfig&);

class DistServe final : public ShortestQueue {
 public:
  using Config = DistServeConfig;
  explicit DistServe(DistServeConfig config) : config_(config) {}
  StationId decode_at(CallId, StationId at, const Cluster&, Rng) override;
  bool accepts(CallId, StationId to, Tokens context, const Cluster&) const override;

 private:
  DistServeConfig config_;
};

}  // namespace orrery
