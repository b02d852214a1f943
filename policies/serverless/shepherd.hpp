/// Shepherd*: as in the evaluation of ServerlessLLM (Fu et al., OSDI'24, section 7.3), Shepherd's preemption with
/// ServerlessLLM's estimates (weight_store.hpp). A model is loaded where its load is over first, whether a device is
/// free there or not: a running call there is stopped, waits for its model like one that arrives, and computes its KV
/// again.
///
/// A call is preempted at most once until it is done, and only where another server has a free device; else two models
/// could take turns for ever (ours: the paper does not say how it is avoided).
/// Defaults: serverless.hpp. Not modelled: Shepherd's own planner and its batches (NSDI'23).
///
///   "policy": {"cluster": {"name": "shepherd"}}      pools and nodes as for serverlessllm
#pragma once

#include <unordered_set>

#include "policies/serverless/serverless.hpp"
#include "sim/registry.hpp"

namespace orrery {

class Shepherd final : public Serverless {
 public:
  using Config = ServerlessConfig;
  explicit Shepherd(ServerlessConfig config) : Serverless(config, Cache::kDram) {}

 protected:
  bool place_load(CallId, Cluster&) override;
  void on_hold(CallId, Cluster&, Rng) override;
  void on_placed(CallId, StationId, const Cluster&) override;

 private:
  StationId clearable(std::int32_t server, const Cluster&) const;
  void clear(StationId, std::int32_t model, Cluster&);

  bool clearing_ = false;                         ///< calls that come now have just been preempted
  std::unordered_set<std::uint64_t> preempted_;   ///< numbers of calls that wait again
  std::vector<std::uint8_t> safe_;                ///< by station: has a call that was preempted before
};

}  // namespace orrery
