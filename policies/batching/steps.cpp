#include "policies/batching/steps.hpp"

namespace orrery {

Tokens decode_all(const StationView& station, BatchPlan& plan, int max_running) {
  plan.decode(station.group);
  if (!plan.leave().empty()) return plan.decoding();
  for (CallId call : station.swapped)
    if (plan.running() >= max_running || !plan.resume(call)) break;
  if (!plan.decodes()) plan.decode(station.group);   // nobody ran, but some came back
  return plan.decoding();
}

std::span<const CallId> newcomers(const StationView& station, const BatchPlan& plan) {
  const bool passes = !plan.leave().empty() || plan.resumed().size() < station.swapped.size();
  return passes ? std::span<const CallId>{} : station.waiting;
}

}  // namespace orrery
