/// Lengths that KV policies reserve by: what a call may need at most, what it is expected to need, and how a
/// reservation that proved too small grows. All in tokens of KV, prompt included.
///
///   Tokens room = std::max(expected(call), target);
#pragma once

#include <algorithm>
#include <vector>

#include "sim/call.hpp"
#include "sim/config/describe.hpp"
#include "sim/policy.hpp"

namespace orrery {

inline Tokens most(const Call& call) { return Tokens{call.prompt} + Tokens{call.max_tokens}; }

/// By the length predictor's upper bound; without a prediction, the most.
inline Tokens expected(const Call& call) {
  const bool known = call.predicted_high > Tokens32{};
  return known ? Tokens{call.prompt} + std::min(Tokens{call.predicted_high}, Tokens{call.max_tokens}) : most(call);
}

/// `factor` times as much, at least two tokens more (its next is computed already), at most the most; 0 if that is
/// what it has.
inline Tokens grown(const Call& call, Tokens reserved, double factor) {
  const Tokens more{static_cast<std::int64_t>(static_cast<double>(reserved.value()) * factor)};
  const Tokens next = std::min(std::max(more, reserved + 2_tok), most(call));
  return next > reserved ? next : Tokens{};
}

inline const std::vector<EnumName> kPreemptNames = {{"recompute", static_cast<int>(Leave::kRecompute)},
                                                    {"swap", static_cast<int>(Leave::kSwap)}};

}  // namespace orrery
