/// The simplest cost model: a step costs base + per_token * tokens + per_context * context, in whole picoseconds. For
/// tests, scenarios ("cost: 10ms + 1ms*token") and analytic checks. Exact for any number of iterations.
///
///   LinearCostModel model({.base = 10ms, .per_token = 1ms});
///   model.price({&shape, 1}, 0).first;      // 10 ms + 1 ms for each prompt and decode token
#pragma once

#include <string_view>

#include "sim/cost.hpp"

namespace orrery {

struct LinearCost {
  Duration base{};            ///< of every step
  Duration per_token{};       ///< of every token computed: prompt and decode
  Duration per_context{};     ///< of every KV token that a decode reads
  Duration per_sequence{};    ///< of every call in the step
  Duration hop{};             ///< to the next pipeline stage
  int stages = 1;             ///< each stage costs the whole line
  Energy per_step{}, per_token_energy{};
};

class LinearCostModel final : public CostModel {
 public:
  explicit LinearCostModel(LinearCost cost) : cost_(cost) {}
  StepRun price(std::span<const StepShape> members, int stage) const override;
  Duration hop(Tokens tokens) const override;
  int stages() const override { return cost_.stages; }

 private:
  LinearCost cost_;
};

/// `10ms + 1ms*token + 2ns*context + 5us*sequence`, terms in any order, each at most once. Throws ConfigError.
LinearCost parse_linear_cost(std::string_view text);

}  // namespace orrery
