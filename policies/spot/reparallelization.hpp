/// Reparallelization, a baseline of SpotServe (ASPLOS'24): the same controller chooses the same layouts,
/// but a change is a restart. When nodes come that make another layout best, or when a node goes that a pipeline stands
/// on, everything stops, all pipelines start from the weights on disk, and what they had begun starts anew.
///
/// Defaults: requests of 512 tokens with 128 of output, as in the paper's runs. Until an announced node goes, it
/// serves.
///
///   "policy": {"cluster": {"name": "reparallelization", "rate": 0.4}}
#pragma once

#include "policies/spot/elastic.hpp"

namespace orrery {

struct ReparallelizationConfig : ElasticConfig {};
void describe(Describer&, ReparallelizationConfig&);

class Reparallelization final : public Elastic {
 public:
  using Config = ReparallelizationConfig;
  explicit Reparallelization(const ReparallelizationConfig& config) : Elastic(config) {}
  bool on_nodes(std::span<const std::int32_t>, NodeChange, Cluster&) override;

 protected:
  StationId place(const Cluster&) const override;
  void on_rate(Cluster&) override;

 private:
  void restart(const Choice&, Cluster&);
  Choice current_;
  bool restarting_ = false;   ///< what stops now is not placed at what will stop next
};

}  // namespace orrery
