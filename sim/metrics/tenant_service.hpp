/// What tenants get over time, and how evenly, as VTC measures it (Sheng et al., OSDI'24, sections 3.1 and 5.1).
/// Service is one unit a prompt token, when its prompt is done, and two an output token, when it is delivered; the text
/// of a restart or of another attempt counts again, since it was served again. Demand is what the answers to a tenant's
/// requests would be worth, when they arrive.
///
///   gap          largest less smallest service that any tenant has had since the start, at the end of each tick
///   difference   of a window, sum over tenants of min(most - s, |d - s|): its service s against that of the tenant who
///                got most and against its own demand d (fair_bench/plot/visualize.py of the artifact); per second
///
/// Windows of 60 s in six ticks, up to that of the last arrival; a gap within the last tick is that at its end. Exact
/// and the same with fast-forward on and off. Memory: 8 bytes a tenant and tick.
///
///   TenantMeter meter(3);  ...  TenantService s = meter.finish();
#pragma once

#include <cstdint>
#include <vector>

#include "sim/metrics/observer.hpp"

namespace orrery {

struct TenantService {
  std::vector<std::int64_t> service, demand;   ///< by tenant, of the whole run
  std::int64_t gap_end = 0, gap_max = 0;
  double difference_mean = 0, difference_max = 0;   ///< units a second; of whole windows, 0 if there is none
  std::int64_t windows = 0;
};

class TenantMeter final : public Observer {
 public:
  static constexpr Duration kTick = 10s;
  static constexpr std::int64_t kTicksOfWindow = 6;

  /// `counted`: tenants that gap and difference are of, by number; the others are only summed.
  explicit TenantMeter(std::vector<bool> counted) : counted_(std::move(counted)) {}
  void on_asked(CallId, const Call&, Tokens32 output) override;
  void on_token(CallId, const Call&, bool first, Time) override;
  void on_tokens(std::span<const CallId>, std::span<const CallRow>, const TokenRun&) override;
  TenantService finish() const;
  std::int64_t ticks() const { return static_cast<std::int64_t>(ticks_.size()); }
  std::int64_t service(std::int64_t tick, std::size_t tenant) const {
    return ticks_[static_cast<std::size_t>(tick)].service[tenant];
  }

 private:
  struct Tick {
    std::vector<std::int64_t> service, demand;
  };
  Tick& tick(std::int64_t index);
  void add_up(const Tick& from, Tick& to) const;
  double difference(const Tick& window) const;

  std::vector<bool> counted_;
  std::vector<Tick> ticks_;
  std::int64_t last_arrival_ = 0;        ///< tick
};

}  // namespace orrery
