/// Knows the output length. The upper bound of what a predictor can do; the result names it.
///
///   {"predictor": "oracle"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct OracleConfig {
  Duration cost{};
};
void describe(Describer&, OracleConfig&);

class Oracle final : public LengthPredictor {
 public:
  using Config = OracleConfig;
  explicit Oracle(OracleConfig config) : config_(config) {}
  Prediction predict(const Call&, Tokens32 true_output, Rng) const override {
    return {true_output, true_output, config_.cost};
  }
  bool oracle() const override { return true; }
  bool random() const override { return false; }

 private:
  OracleConfig config_;
};

}  // namespace orrery
