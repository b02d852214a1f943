#include "policies/routing/prefix_aware.hpp"

#include <algorithm>

#include "policies/routing/least.hpp"

namespace orrery {

void describe(Describer& d, PrefixAwareConfig& c) {
  d.field("staleness", c.staleness, {0, 3600}, "Age that the router's view may reach; 0: live counters");
  d.field("cache_threshold", c.cache_threshold, {0, 1},
          "Fraction of the prompt that must be cached to go by the cache");
  d.field("balance_abs", c.balance_abs, {0, 1000000}, "Out of balance: most minus fewest calls above this");
  d.field("balance_rel", c.balance_rel, {1, 1000}, "Out of balance: and most above this times the fewest");
}

StationId PrefixAware::route(const Call& call, CallId id, const ClusterView& view, Rng) {
  auto calls = [](const StationLoad& s) { return s.calls; };
  const auto [fewest, most] = std::ranges::minmax(view.stations, {}, calls);
  const bool unbalanced =
      most.calls - fewest.calls > config_.balance_abs && most.calls > config_.balance_rel * fewest.calls;
  StationId best;
  Tokens longest{static_cast<std::int64_t>(config_.cache_threshold * call.prompt.value())};
  for (std::size_t i = 0; i < view.prefixes.size() && !unbalanced; ++i) {
    const Tokens hit = view.prefixes[i] ? view.prefixes[i]->match(id).tokens : Tokens{};
    if (hit > longest) longest = hit, best = StationId{static_cast<std::int32_t>(i)};
  }
  return best.valid() ? best : least(view.stations, view.routed, calls);
}

}  // namespace orrery
