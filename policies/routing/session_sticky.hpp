/// Every turn of a session goes to the same station, by a hash of the session, so that its KV can be reused there.
/// Calls without a session go to the least loaded. O(1), or O(stations) without a session.
///
///   {"router": "session-sticky"}
#pragma once

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct SessionStickyConfig {
  Duration staleness{};
};
void describe(Describer&, SessionStickyConfig&);

class SessionSticky final : public Router {
 public:
  using Config = SessionStickyConfig;
  explicit SessionSticky(SessionStickyConfig config) : config_(config) {}
  StationId route(const Call&, CallId, const ClusterView&, Rng) override;
  bool random() const override { return false; }
  Duration staleness() const override { return config_.staleness; }

 private:
  SessionStickyConfig config_;
};

}  // namespace orrery
