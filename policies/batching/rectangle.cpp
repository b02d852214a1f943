#include "policies/batching/rectangle.hpp"

#include <algorithm>

namespace orrery {

BatchPlan::Padding prefill_padding(const BatchPlan& plan) {
  Tokens longest, sum;
  std::int64_t pairs = 0;
  for (const auto& chunk : plan.chunks()) {
    longest = std::max(longest, chunk.q);
    sum += chunk.q;
    pairs += chunk.q.value() * chunk.q.value() / 2;
  }
  const auto rows = static_cast<std::int64_t>(plan.chunks().size()), q = longest.value();
  return {.prefill = longest * rows - sum, .pairs = q * q / 2 * rows - pairs, .decodes = {}, .decode_context = {}};
}

BatchPlan::Padding decode_padding(const StationView& station) {
  const GroupView& group = station.group;
  Tokens longest, steps;
  for (CallId call : group.members) {
    longest = std::max(longest, station.context(call));
    steps = std::max(steps, Tokens{station.progress(call).ran(group.clock)});   // all the same, but after a swap
  }
  for (CallId call : station.held) longest = std::max(longest, Tokens{station.call(call).prompt} + steps);
  const Tokens done{static_cast<std::int64_t>(station.held.size())}, rows = done + Tokens{group.size};
  const Tokens context = group.context + Tokens{group.size};       // each reads its KV and the token it computes
  return {.prefill = {}, .pairs = 0, .decodes = done, .decode_context = (longest + 1_tok) * rows.value() - context};
}

}  // namespace orrery
