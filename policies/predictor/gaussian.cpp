#include "policies/predictor/gaussian.hpp"

#include <algorithm>

#include "sim/base/distribution.hpp"

namespace orrery {

void describe(Describer& d, GaussianConfig& c) {
  d.field("sigma", c.sigma, {0, 1000000}, "Standard deviation of the error", "tokens");
  d.field("relative", c.relative, {0, 100}, "The same, as a fraction of the true length; both add");
  d.field("cost", c.cost, {0, 60}, "Time a prediction takes");
}

Prediction Gaussian::predict(const Call&, Tokens32 true_output, Rng rng) const {
  const double length = true_output.value(), sd = config_.sigma + config_.relative * length;
  const double guess = std::clamp(length + sd * normal_quantile(rng.uniform() + 0x1p-54), 1.0, 1e9);
  const auto tokens = Tokens32{static_cast<std::int32_t>(guess + 0.5)};
  return {tokens, tokens, config_.cost};
}

}  // namespace orrery
