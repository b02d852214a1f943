/// Longest prefix match (SGLang: Zheng et al., NeurIPS'24, section 3; schedule_policy.py): the call with the most
/// cached prompt tokens first. Matching costs O(waiting) a plan, so above `fcfs_above` waiting calls the order is
/// first come first served (128 in the code). Without a prefix cache it is that always.
/// Not modelled: in-batch prefix deduplication (thresholds 32/32 there).
///
///   {"order": "lpm"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct LpmConfig {
  int fcfs_above = 128;
};
void describe(Describer&, LpmConfig&);

class Lpm final : public QueueOrder {
 public:
  using Config = LpmConfig;
  explicit Lpm(LpmConfig config) : config_(config) {}
  std::int64_t key(CallId, const Call&, const Progress&, const StationView*) const override;
  bool dynamic() const override { return true; }

 private:
  LpmConfig config_;
};

}  // namespace orrery
