#include "policies/order/srpt.hpp"

#include <algorithm>

namespace orrery {

void describe(Describer& d, SrptConfig& c) {
  d.field("prompt_weight", c.prompt_weight, {0, 1000}, "Tokens to prefill count as this many output tokens each");
  d.field("preemptive", c.preemptive, "A running call gives its place to a shorter one that finds none");
}

std::int64_t Srpt::key(CallId, const Call& call, const Progress& progress, const StationView*) const {
  const Tokens32 output = call.predicted_high > Tokens32{} ? call.predicted_high : call.max_tokens;
  const Tokens32 left = std::max(output - progress.emitted, Tokens32{});
  const Tokens32 prefill = call.prompt + progress.emitted - progress.computed;
  return left.value() + static_cast<std::int64_t>(config_.prompt_weight * prefill.value());
}

}  // namespace orrery
