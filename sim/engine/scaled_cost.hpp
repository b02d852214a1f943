/// A cost model whose steps take `per_mille` thousandths of another's time: a replica that has become slow. Energy
/// stays that of the work. Times are whole picoseconds, and a decode run is a line of them: what a token of context
/// takes is rounded down, and what is left of the step is. Where the base has no such slope, iterations are priced one
/// by one.
#pragma once

#include <cstdint>

#include "sim/cost.hpp"

namespace orrery {

class ScaledCost final : public CostModel {
 public:
  ScaledCost(const CostModel& base, std::int64_t per_mille) : base_(&base), per_mille_(per_mille) {}
  StepRun price(std::span<const StepShape> members, int stage) const override {
    StepRun r = base_->price(members, stage);
    r.host = scaled(r.host);
    const std::int64_t n = members[0].decodes.value();
    const bool exact = static_cast<Wide>(to_ps(r.step)) * per_mille_ % 1000 == 0;
    if (!exact && members.size() == 1 && n > 0 && n == members[0].sequences && r.step.count() % n == 0) {
      const std::int64_t context = members[0].decode_context.value();
      const Duration slope = scaled(r.step / n);
      r.first = scaled(r.first - r.step / n * context) + slope * context;
      r.step = slope * n;
      return r;
    }
    if (!exact) r.valid = 1;   // rounded by itself, each iteration would leave the line
    r.first = scaled(r.first);
    r.step = scaled(r.step);
    return r;
  }
  Duration hop(Tokens tokens) const override { return scaled(base_->hop(tokens)); }
  Duration collectives(const StepShape& shape, int stage) const override {
    return scaled(base_->collectives(shape, stage));
  }
  int stages() const override { return base_->stages(); }

 private:
  Duration scaled(Duration d) const {
    return Duration{static_cast<std::int64_t>(static_cast<Wide>(to_ps(d)) * per_mille_ / 1000)};
  }
  const CostModel* base_;
  std::int64_t per_mille_;
};

}  // namespace orrery
