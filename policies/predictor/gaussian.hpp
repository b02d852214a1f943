/// A regressor whose error is Gaussian with standard deviation `sigma` tokens, plus `relative` times the true length.
/// Predicts one number, at least 1.
/// Default: 77.7 tokens, which is a mean absolute error of 62: Response-length perception's instruct-tuned Vicuna-7B
/// (Zheng et al., NeurIPS'23); E|x| = sigma * sqrt(2 / pi).
///
///   {"predictor": {"name": "gaussian", "sigma": 0, "relative": 0.3}}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct GaussianConfig {
  double sigma = 77.7;
  double relative = 0;
  Duration cost{};
};
void describe(Describer&, GaussianConfig&);

class Gaussian final : public LengthPredictor {
 public:
  using Config = GaussianConfig;
  explicit Gaussian(GaussianConfig config) : config_(config) {}
  Prediction predict(const Call&, Tokens32 true_output, Rng) const override;

 private:
  GaussianConfig config_;
};

}  // namespace orrery
