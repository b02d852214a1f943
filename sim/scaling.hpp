/// Rules that say how many instances of a pool should serve. A rule is asked at fixed times, about the pool as it was
/// some time ago where its metrics are scraped late; the engine (engine/scaler.hpp) starts and drains instances.
///
///   class Double final : public ScalingRule {
///     std::int32_t desired(const PoolState& s, Time) override { return 2 * s.serving; }
///   };
#pragma once

#include <cstdint>

#include "sim/base/units.hpp"

namespace orrery {

/// A pool at one time. `starting` instances have been asked for and do not serve yet.
struct PoolState {
  Time at{};
  std::int32_t serving = 0, starting = 0, draining = 0;
  std::int64_t waiting = 0;        ///< calls that hold no KV, at instances of the pool
  std::int64_t running = 0;        ///< calls that do
  std::int64_t arrived = 0;        ///< calls placed here since the start
  double kv_used = 0;              ///< share of the KV blocks of serving instances that is held
  double arrivals_per_s = 0;       ///< calls placed here, over the time since the state before

  std::int32_t wanted() const { return serving + starting; }
};

/// What a rule looks at; of an instance on average, those that start counted as instances.
enum class ScalingMetric : std::uint8_t {
  kQueueDepth,     ///< calls that wait
  kRunning,        ///< calls that run
  kCalls,          ///< both
  kKvUsed,         ///< share of KV held (over instances that serve)
  kArrivals,       ///< calls a second
};

inline double value(const PoolState& s, ScalingMetric m) {
  const double instances = s.wanted() > 0 ? s.wanted() : 1;
  switch (m) {
    case ScalingMetric::kQueueDepth: return static_cast<double>(s.waiting) / instances;
    case ScalingMetric::kRunning: return static_cast<double>(s.running) / instances;
    case ScalingMetric::kCalls: return static_cast<double>(s.waiting + s.running) / instances;
    case ScalingMetric::kKvUsed: return s.kv_used * s.serving / instances;
    case ScalingMetric::kArrivals: return s.arrivals_per_s / instances;
  }
  return 0;
}

class ScalingRule {
 public:
  virtual ~ScalingRule() = default;
  /// Instances that should serve; the engine keeps it within the pool's limits. `pool` may be older than `now`.
  virtual std::int32_t desired(const PoolState& pool, Time now) = 0;
};

}  // namespace orrery
