/// What the baselines of ServerlessLLM's evaluation do alike (Fu et al., OSDI'24, sections 7.3 and 7.4): a model is
/// loaded on a free device picked at random. Where none is free, an instance that is kept alive without calls gives
/// way, picked alike.
///
/// Defaults: those of serverless.hpp. Not modelled: the autoscaler of Ray Serve, which decides with a delay of its own.
#pragma once

#include "policies/serverless/serverless.hpp"
#include "sim/registry.hpp"

namespace orrery {

class RandomPlacement : public Serverless {
 public:
  using Config = ServerlessConfig;
  bool random() const override { return true; }

 protected:
  RandomPlacement(ServerlessConfig config, Cache cache) : Serverless(config, cache) {}
  bool place_load(CallId, Cluster&) override;
  void on_hold(CallId, Cluster&, Rng) override;

 private:
  std::vector<std::uint64_t> draws_;   ///< of held calls, by slot
};

}  // namespace orrery
