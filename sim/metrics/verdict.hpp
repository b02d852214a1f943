/// Is the system keeping up? And how much of the start of a run is warm-up? Both from batch means over the run.
///
/// Load. The queue is the number of calls waiting for their first or a further admission. Its mean over each epoch of
/// the arrival window is regressed on time (as GuideLLM's over-saturation test: slope and Student-t interval; here the
/// 95 % one, over 4 epochs or more). Neighbouring epochs are correlated, so significance alone is not trusted:
///   OVERLOADED   the slope is above zero with its interval, and over the window the queue grows by at least 2 % of
///                what arrived: more arrives than leaves, and latencies depend on how long the run is
///   BACKLOGGED   otherwise, if the queue at the last arrival is at least 8 calls and more than 5 % of what completed
///                in the window: it would take more than a twentieth of the window to work off
///   STABLE       otherwise
///
/// Warm-up. MSER (White, Simulation 69(6), 1997; the variant over batch means compared in White, Cobb, Spratt, WSC
/// 2000): the truncation d <= n / 2 that minimises sum over i >= d of (x_i - mean)^2 / (n - d)^2, on the epochs' means.
///
///   Trend t = trend(points);   LoadState s = verdict(t, load);   std::size_t cut = mser(means);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sim/metrics/summary.hpp"

namespace orrery {

struct Point {
  double time_s, value;
};

/// Least squares through points, weights equal.
struct Trend {
  double slope = 0;        ///< value a second
  double half = 0;         ///< half of the 95 % interval of the slope
  std::size_t points = 0;
};

Trend trend(std::span<const Point> points);

struct Load {
  double window_s = 0;
  std::int64_t arrived = 0, completed = 0;   ///< in the window
  std::int64_t waiting = 0;                  ///< at the last arrival
};

LoadState verdict(const Trend& queue, const Load& load);

/// How many of the batch means to cut; 0 if there are fewer than 8.
std::size_t mser(std::span<const double> means);

}  // namespace orrery
