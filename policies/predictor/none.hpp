/// No prediction: policies that want a length fall back to the client's max_tokens.
///
///   {"predictor": "none"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

class NoPrediction final : public LengthPredictor {
 public:
  using Config = NoConfig;
  explicit NoPrediction(NoConfig) {}
  Prediction predict(const Call&, Tokens32, Rng) const override { return {}; }
  bool random() const override { return false; }
};

}  // namespace orrery
