/// Requests a minute: a tenant that had `limit` requests taken within the last 60 s is refused (the RPM baseline of
/// VTC: Sheng et al., OSDI'24, section 5.1; slora/server/router/lshare_req_queue.py of its artifact: a sliding window
/// over accepted requests). Fair to others at the price of idle capacity: it refuses whether the server is busy or not.
/// Default: 20 a minute; the paper tries 5, 10, 15, 20 and 30.
/// Memory: one time for each request taken within the last minute.
///
///   {"admission": {"name": "rpm", "limit": 10}}
#pragma once

#include <deque>
#include <vector>

#include "sim/policy.hpp"
#include "sim/registry.hpp"

namespace orrery {

struct RpmConfig {
  int limit = 20;
};
void describe(Describer&, RpmConfig&);

class Rpm final : public AdmissionPolicy {
 public:
  using Config = RpmConfig;
  explicit Rpm(RpmConfig config) : config_(config) {}
  bool admits(const Call&, const StationLoad&, Time now) override;

 private:
  RpmConfig config_;
  std::vector<std::deque<Time>> taken_;   ///< by tenant, oldest first
};

}  // namespace orrery
