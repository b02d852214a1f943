/// S3: schedule sequences by predicted length (Jin et al., NeurIPS'23).
/// Reserves KV for prompt + predicted output and packs by decreasing first fit: of the waiting calls the largest
/// reservation first, each that fits goes in. Iteration-level batches as Orca. A call that outgrows its reservation is
/// moved to host memory, its reservation doubled, and comes back before any newcomer.
///
/// Defaults: no limit on calls but KV (256 here); packing looks at the first `window` calls of the queue (the paper
/// packs all; 4096 bounds the work per plan). KV: paged, `predicted`, preempt swap, growth 2; predictor: bucket.
/// Modelled: packing, reservation, doubling through host memory, resumed first.
/// Not modelled: retraining of the predictor on its mistakes.
///
///   {"batching": "s3", "predictor": "bucket"}
#pragma once

#include "sim/plan.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct S3Config {
  int max_running = 256;
  int window = 4096;
};
void describe(Describer&, S3Config&);

class S3 final : public Batcher {
 public:
  using Config = S3Config;
  explicit S3(S3Config config) : config_(config) {}
  void plan(const StationView&, BatchPlan&) const override;

 private:
  S3Config config_;
};

}  // namespace orrery
