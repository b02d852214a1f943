/// "Serverless" (baseline of ServerlessLLM, Fu et al., OSDI'24, section 7.3): the tiers and the loader of
/// ServerlessLLM, but a free device picked at random, wherever the weights are near (random_placement.hpp).
///
///   "policy": {"cluster": "serverless-random"}      pools and nodes as for serverlessllm
#pragma once

#include "policies/serverless/random_placement.hpp"

namespace orrery {

class ServerlessRandom final : public RandomPlacement {
 public:
  explicit ServerlessRandom(ServerlessConfig config) : RandomPlacement(config, Cache::kDram) {}
};

}  // namespace orrery
