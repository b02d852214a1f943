#include "policies/order/sjf.hpp"

namespace orrery {

void describe(Describer& d, SjfConfig& c) {
  d.field("prompt_weight", c.prompt_weight, {0, 1000}, "Prompt tokens count as this many output tokens each");
}

std::int64_t Sjf::key(CallId, const Call& call, const Progress&, const StationView*) const {
  const Tokens32 output = call.predicted_high > Tokens32{} ? call.predicted_high : call.max_tokens;
  return output.value() + static_cast<std::int64_t>(config_.prompt_weight * call.prompt.value());
}

}  // namespace orrery
