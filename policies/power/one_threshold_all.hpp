/// 1-Thresh-All, a baseline of POLCA (ASPLOS'24): one threshold, past which all servers slow down, whatever their
/// priority; otherwise as one_threshold_low.hpp.
///
///   "policy": {"name": "one-threshold-all", "threshold": 0.89, "clock": 1110}
#pragma once

#include "policies/power/one_threshold_low.hpp"

namespace orrery {

class OneThresholdAll final : public OneThresholdLow {
 public:
  using OneThresholdLow::OneThresholdLow;

 private:
  bool high_too() const override { return true; }
};

}  // namespace orrery
