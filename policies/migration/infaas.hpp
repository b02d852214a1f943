/// INFaaS++: a call goes to the instance with the least memory load, what waits there included, and stays (the baseline
/// of Llumnix, OSDI'24, section 6.1: INFaaS, ATC'21, made aware of LLM memory, with Llumnix's scaling).
///
/// Defaults: those of autoscale.hpp.
/// Not modelled: INFaaS's choice among variants of a model.
///
///   "policy": {"cluster": {"name": "infaas", "autoscale": true}}
#pragma once

#include "policies/migration/autoscale.hpp"

namespace orrery {

class Infaas final : public ClusterPolicy {
 public:
  using Config = AutoscaleConfig;
  explicit Infaas(AutoscaleConfig config)
      : period_(config.autoscale ? config.scale_interval : Duration{}), scaler_(config) {}
  Placement route(CallId, Cluster&, Rng) override;
  Duration tick() const override { return period_; }
  void on_tick(Cluster& cluster) override { scaler_.consider(cluster); }

 private:
  Duration period_;
  Autoscaler scaler_;
};

}  // namespace orrery
