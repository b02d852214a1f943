#include "policies/kv/contiguous.hpp"

#include <algorithm>
#include <bit>

#include "policies/kv/lengths.hpp"

namespace orrery {

using Reserve = ContiguousConfig::Reserve;

void describe(Describer& d, ContiguousConfig& c) {
  d.field("reserve", c.reserve,
          {{"max", static_cast<int>(Reserve::kMax)},
           {"pow2", static_cast<int>(Reserve::kPow2)},
           {"oracle", static_cast<int>(Reserve::kOracle)},
           {"max-new", static_cast<int>(Reserve::kMaxNew)}},
          "What a call takes at admission");
  d.field("max_length", c.max_length, {1, 16777216}, "max, pow2: the model's longest sequence");
  d.field("buddy", c.buddy, "Round every run up to a power of two, as a buddy allocator does");
  d.field("preempt", c.preempt, kPreemptNames, "How a call leaves whose reservation proved too small");
  d.field("growth", c.growth, {1, 16}, "Factor by which such a reservation grows");
}

Tokens Contiguous::reserve(const Call& call, Tokens target, Tokens) const {
  const Tokens output = expected(call) - Tokens{call.prompt};
  const Tokens pow2{static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(output.value())))};
  switch (config_.reserve) {
    case Reserve::kMax: return std::max(config_.max_length, most(call));
    case Reserve::kPow2:
      return std::max({std::min(Tokens{call.prompt} + pow2, config_.max_length), expected(call), target});
    case Reserve::kOracle: return std::max(expected(call), target);
    case Reserve::kMaxNew: return most(call);
  }
  return most(call);
}

Tokens Contiguous::regrow(const Call& call, Tokens reserved) const { return grown(call, reserved, config_.growth); }

}  // namespace orrery
