/// What policies over pools do alike: the serving instance with the smallest value.
#pragma once

#include "sim/cluster.hpp"

namespace orrery {

/// Of the instances that take calls and that `suits` accepts, the one with the smallest `value` (tokens); the first of
/// equals; invalid if there is none. O(instances).
template <class Suits, class Value>
StationId least(const Cluster& cluster, Suits suits, Value value) {
  StationId best;
  Tokens lowest = Tokens::max();
  for (const Instance& x : cluster.instances()) {
    if (!x.takes_calls() || !suits(x)) continue;
    if (const Tokens v = value(x); v < lowest) {
      lowest = v;
      best = x.station;
    }
  }
  return best;
}

}  // namespace orrery
