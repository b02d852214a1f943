#include "calibrate/step/step_calibration.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "calibrate/fit/residual_fit.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// From low to high; even in the logarithm or in the value.
std::int64_t drawn(Rng& rng, std::int64_t low, std::int64_t high, bool logarithmic) {
  if (high <= low) return low;
  const auto a = static_cast<double>(low), b = static_cast<double>(high) + 1;
  const double x = logarithmic ? a * std::pow(b / a, rng.uniform()) : a + (b - a) * rng.uniform();
  return std::clamp(static_cast<std::int64_t>(x), low, high);
}

StepBatch random_batch(const StepCalibrationOptions& o, std::uint64_t index) {
  Rng rng(o.seed, Purpose::kFuzz, hash_combine(17, index));
  const bool logarithmic = index % 2 == 0, chunked = (index / 2) % 2 == 0, alone = chunked && rng.below(4) == 0;
  StepBatch b;
  const std::int64_t most = std::min(o.max_sequences, o.token_budget) - (chunked ? 1 : 0);
  const std::int64_t decodes = alone ? 0 : drawn(rng, 1, most, logarithmic);
  // Contexts vary within a batch about a typical length that varies between batches.
  const std::int64_t typical = drawn(rng, std::min<std::int64_t>(8, o.max_context), o.max_context, logarithmic);
  for (std::int64_t i = 0; i < decodes; ++i) {
    b.decodes.push_back(Tokens{std::min(o.max_context, drawn(rng, 1, 2 * typical, false))});
  }
  std::int64_t left = o.token_budget - decodes, sequences = o.max_sequences - decodes;
  const std::int64_t chunks =
      chunked ? std::min<std::int64_t>(sequences, 1 + static_cast<std::int64_t>(rng.below(3))) : 0;
  for (std::int64_t i = 0; i < chunks && left > 0; ++i) {
    const std::int64_t q = drawn(rng, 1, std::min(left, o.max_context), logarithmic);
    const std::int64_t context =
        rng.below(2) == 0 ? 0 : drawn(rng, 1, std::max<std::int64_t>(1, o.max_context - q), false);
    b.chunks.push_back({Tokens{std::min(context, o.max_context - q)}, Tokens{q}});
    left -= q;
  }
  return b;
}

}  // namespace

std::vector<StepBatch> random_batches(const StepCalibrationOptions& o) {
  std::vector<StepBatch> batches;
  for (int i = 0; i < o.batches; ++i) batches.push_back(random_batch(o, static_cast<std::uint64_t>(i)));
  return batches;
}

double drift_percent(const std::vector<StepSample>& samples) {
  std::size_t rounds = samples.empty() ? 0 : samples.front().seconds.size();
  for (const StepSample& s : samples) rounds = std::min(rounds, s.seconds.size());
  double low = 1e300, high = 0;
  for (std::size_t r = 1; r < rounds; ++r) {  // the first finds cold caches
    std::vector<double> ratios;
    for (const StepSample& s : samples) ratios.push_back(s.seconds[r] / s.median());
    const double middle = quantile(std::move(ratios), 0.5);
    low = std::min(low, middle);
    high = std::max(high, middle);
  }
  return rounds < 3 ? 0 : 100 * (high - low);
}

StepCalibrator::StepCalibrator(StepEngine& engine, const StepCalibrationOptions& o) : engine_(&engine), seed_(o.seed) {
  for (StepBatch& b : random_batches(o)) samples_.push_back({std::move(b), {}});
}

void StepCalibrator::round() {
  std::vector<std::size_t> order(samples_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  Rng rng(seed_, Purpose::kFuzz, hash_combine(18, static_cast<std::uint64_t>(rounds_)));
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  for (const std::size_t i : order) samples_[i].seconds.push_back(engine_->run(samples_[i].batch));
  ++rounds_;
}

StepCalibration StepCalibrator::result() const {
  StepCalibration c;
  c.samples = samples_;
  c.held_out = held_out_steps(samples_, engine_->row_tile());
  c.law = fit_step_law(samples_, engine_->row_tile());
  c.law.mape = c.held_out.mape;
  c.law.p95 = c.held_out.p95;
  c.law.sigma = std::abs(c.held_out.bias) + c.held_out.mape / std::sqrt(static_cast<double>(samples_.size()));
  std::vector<double> noise;
  for (const StepSample& s : samples_) noise.push_back(s.noise());
  c.noise = 100 * quantile(std::move(noise), 0.5);
  c.drift = drift_percent(samples_);
  return c;
}

}  // namespace orrery
