/// A classifier into equal buckets of `width` tokens that is right with probability `accuracy`, and else one bucket
/// too high or too low (up from the first, where there is none below). Predicts the bucket's bounds.
/// Defaults: 200 wide, 98.6 % right: S3's DistilBERT, 10 buckets of a maximum of 2048 on Alpaca (Jin et al.,
/// NeurIPS'23; accuracy as quoted, not checked). Response-length perception has width 100, accuracy 0.81 (Acc-100).
///
///   {"predictor": {"name": "bucket", "width": 100, "accuracy": 0.81, "cost": "5ms"}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct BucketConfig {
  Tokens width = 200_tok;
  double accuracy = 0.986;
  Duration cost{};
};
void describe(Describer&, BucketConfig&);

class Bucket final : public LengthPredictor {
 public:
  using Config = BucketConfig;
  explicit Bucket(BucketConfig config) : config_(config) {}
  Prediction predict(const Call&, Tokens32 true_output, Rng) const override;

 private:
  BucketConfig config_;
};

}  // namespace orrery
