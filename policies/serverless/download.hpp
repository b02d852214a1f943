/// Ray Serve, downloads (baseline of ServerlessLLM, Fu et al., OSDI'24, section 7.4): weights come over the network for
/// every start, on a free device picked at random (random_placement.hpp). Nothing is kept, whatever `lifecycle.tier`
/// says.
///
///   "cluster": {"pools": [{"name": "gpus", "replicas": 16, "serving": 0}],
///               "nodes": [{"count": 4, "gpus": 4, "network": {"bandwidth": "1.25GB/s"}}]},
///   "policy": {"cluster": "download"}
#pragma once

#include "policies/serverless/random_placement.hpp"

namespace orrery {

class Download final : public RandomPlacement {
 public:
  explicit Download(ServerlessConfig config) : RandomPlacement(config, Cache::kNone) {}
};

}  // namespace orrery
