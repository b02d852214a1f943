#include "policies/predictor/bucket.hpp"

namespace orrery {

void describe(Describer& d, BucketConfig& c) {
  d.field("width", c.width, {1, 1048576}, "Tokens per bucket");
  d.field("accuracy", c.accuracy, {0, 1}, "Probability of the right bucket");
  d.field("cost", c.cost, {0, 60}, "Time a prediction takes");
}

Prediction Bucket::predict(const Call&, Tokens32 true_output, Rng rng) const {
  const std::int64_t width = config_.width.value();
  std::int64_t bucket = (true_output.value() - 1) / width;   // bucket b holds lengths b * width + 1 to (b + 1) * width
  if (rng.uniform() >= config_.accuracy) bucket += bucket == 0 || rng.uniform() < 0.5 ? 1 : -1;
  auto tokens = [](std::int64_t n) { return narrow<Tokens32>(Tokens{n}); };
  return {tokens(bucket * width + 1), tokens((bucket + 1) * width), config_.cost};
}

}  // namespace orrery
