/// Ray Serve with a cache (baseline of ServerlessLLM, Fu et al., OSDI'24, section 7.4): weights stay on the disk of a
/// server that has loaded them, or lie on all disks from the start (`lifecycle.tier`); a free device is picked at
/// random (random_placement.hpp). The disk is read by an ordinary loader: state its bandwidth, not the disk's. The
/// cache has no limit.
///
///   "cluster": {"pools": [{"name": "gpus", "replicas": 16, "serving": 0, "lifecycle": {"tier": "remote"}}],
///               "nodes": [{"count": 4, "gpus": 4, "ssd": {"bandwidth": "3.5GB/s"}, "network": {...}}]},
///   "policy": {"cluster": "ssd-cache"}
#pragma once

#include "policies/serverless/random_placement.hpp"

namespace orrery {

class SsdCache final : public RandomPlacement {
 public:
  explicit SsdCache(ServerlessConfig config) : RandomPlacement(config, Cache::kSsd) {}
};

}  // namespace orrery
