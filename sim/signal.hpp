/// A quantity over time that changes in steps: a price, the carbon intensity of the grid, power that others draw.
/// Values are integers in a unit that the user of the signal names, so integrals are exact.
///
///   StepSignal price{{{Time{}, 100}, {Time{} + 60s, 250}}};
///   price.at(t);   price.next(t);   price.integral(a, b);     // value * picoseconds
///
/// O(log steps) a question.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

class StepSignal {
 public:
  struct Step {
    Time from{};
    std::int64_t value = 0;
  };

  StepSignal() = default;
  /// Starts increase and the first is 0; the last value holds for ever.
  explicit StepSignal(std::vector<Step> steps) : steps_(std::move(steps)) {}
  explicit StepSignal(std::int64_t constant) : steps_{{Time{}, constant}} {}

  bool empty() const { return steps_.empty(); }
  StepSignal times(std::int64_t factor) const {
    StepSignal out = *this;
    for (Step& s : out.steps_) s.value *= factor;
    return out;
  }
  std::int64_t at(Time t) const { return steps_[index(t)].value; }
  /// The first change after t; kNever if there is none.
  Time next(Time t) const {
    const std::size_t i = index(t) + 1;
    return i < steps_.size() ? steps_[i].from : kNever;
  }
  Wide integral(Time a, Time b) const {
    Wide sum = 0;
    while (a < b) {
      const Time end = std::min(b, next(a));
      sum += static_cast<Wide>(at(a)) * to_ps(end - a);
      a = end;
    }
    return sum;
  }

 private:
  std::size_t index(Time t) const {
    const auto after =
        std::upper_bound(steps_.begin(), steps_.end(), t, [](Time x, const Step& s) { return x < s.from; });
    return static_cast<std::size_t>(after - steps_.begin()) - 1;
  }
  std::vector<Step> steps_;
};

}  // namespace orrery
