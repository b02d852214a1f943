/// The highest rate at which something holds that holds at low rates: doubling or halving from `start`, then bisection.
///
///   double rate = highest_rate({.start = 1, .tolerance = 0.05}, [&](double r) { return keeps_the_slo(r); });
#pragma once

namespace orrery {

struct RateSearch {
  double start = 1;                      ///< a second
  double tolerance = 0.05;               ///< of the answer, relative; it errs on the low side
  double slowest = 0.01, fastest = 1e5;  ///< beyond these it gives up
};

/// 0: it does not even hold at the slowest rate.
template <class Holds>
double highest_rate(const RateSearch& s, Holds holds) {
  double low = s.start, high = s.start;
  if (holds(low)) {
    while ((high *= 2) < s.fastest && holds(high)) low = high;
  } else {
    while ((low /= 2) > s.slowest && !holds(low)) high = low;
    if (low <= s.slowest) return 0;
  }
  while (high > low * (1 + s.tolerance)) {
    const double middle = (low + high) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace orrery
