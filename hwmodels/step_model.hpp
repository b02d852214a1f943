/// The price of a whole step of one engine with one model, from steps that were measured: a few terms, each linear in a
/// sum over the batch, times a residual. Knows no operators, so it prices the model and device it was fitted on and no
/// other; what it loses in reach it gains in accuracy (calibrate/step/step_fit.hpp).
///
///   t = (step + token n + loose (n mod row_tile) + decode_context C + prefill_pair P + sequence s) * exp(g)
///
/// n tokens computed, C = sum of the contexts of the decodes, P = sum over chunks of q (context + q/2), s sequences; g
/// a residual over log2 of n, 1 + C, 1 + P and s. Loose rows are those that do not fill a tile of the engine's GEMM.
///
///   StepCostModel model(law);  model.price({&shape, 1}, 0).first;
///
/// A decode step is an integer function, affine in C between knots (eight an octave), so `first + j * step` is exact
/// for `valid` iterations. price() takes ~0.3 us: two knots, up to sixteen corners of the residual each. Immutable.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hwmodels/residual_grid.hpp"
#include "sim/config/value.hpp"
#include "sim/cost.hpp"

namespace orrery {

struct StepLaw {
  enum Term : std::size_t { kStep, kToken, kLoose, kDecodeContext, kPrefillPair, kSequence, kTerms };
  enum Feature : std::size_t { kTokens, kContext, kPairs, kSequences, kFeatures };
  static constexpr std::array<std::string_view, kTerms> kNames{"step_s",           "token_s",        "loose_token_s",
                                                               "decode_context_s", "prefill_pair_s", "sequence_s"};

  std::array<double, kTerms> seconds{};        ///< each zero or more
  std::int64_t row_tile = 1;                   ///< rows of x that the engine's GEMM takes at once
  double host_bytes_per_s = 0;                 ///< of KV that is swapped; 0: free
  ResidualGrid residual;                       ///< over Feature, in that order
  std::array<double, kFeatures> low{}, high{}; ///< log2 range that was measured
  double mape = 0, p95 = 0, sigma = 0;         ///< held out, percent; sigma: of a draw of the model's error

  /// What the terms multiply, and what the residual is looked up at.
  std::array<double, kTerms> amounts(const StepShape& shape) const;
  static Features features(const StepShape& shape);
  double predict(const StepShape& shape) const;   ///< seconds, swap left out
  bool in_range(const StepShape& shape) const;
};

Value to_value(const StepLaw& law);
StepLaw step_law_from_json(const Value& v);       ///< throws ConfigError

class StepCostModel final : public CostModel {
 public:
  explicit StepCostModel(StepLaw law) : law_(std::move(law)) {}
  StepRun price(std::span<const StepShape> members, int stage) const override;
  const StepLaw& law() const { return law_; }

 private:
  StepRun price_one(const StepShape& shape) const;
  std::int64_t picoseconds(const StepShape& shape) const;
  StepLaw law_;
};

}  // namespace orrery
