/// Rerouting, a baseline of SpotServe (ASPLOS'24): the shape that the controller chooses for the first
/// nodes stays for good. A pipeline that loses a node is dropped: from the notice on it takes no more requests, and
/// those that it has not finished when the node goes start anew elsewhere. New pipelines start, from the weights on
/// disk, when there are free nodes enough; one node that is left of several does nothing.
///
/// Defaults: requests of 512 tokens with 128 of output, as in the paper's runs.
///
///   "policy": {"cluster": {"name": "rerouting", "rate": 0.4}}
#pragma once

#include "policies/spot/elastic.hpp"

namespace orrery {

struct ReroutingConfig : ElasticConfig {};
void describe(Describer&, ReroutingConfig&);

class Rerouting final : public Elastic {
 public:
  using Config = ReroutingConfig;
  explicit Rerouting(const ReroutingConfig& config) : Elastic(config) {}
  bool on_nodes(std::span<const std::int32_t>, NodeChange, Cluster&) override;
  void on_phase(StationId, Phase before, Cluster&) override;

 private:
  int shape_ = -1;   ///< chosen once
};

}  // namespace orrery
