/// What looks at a run from the clients' side: who asked for what, and when tokens reached whom. The engine tells it
/// once a request, once a prompt that ends and once a step, never once a token: k iterations that a decode group runs
/// at once are one call, and what an observer makes of them must be the same as of k single ones. Without observers the
/// engine spends one comparison a step on them.
///
///   SimulationParts parts;  parts.observers = {&qoe, &tenants};     // not owned
#pragma once

#include <cstdint>
#include <span>

#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

/// k tokens of each of some calls: token j (from 0) at first + j * gap + step * j (j - 1) / 2.
struct TokenRun {
  Time first{};
  Duration gap{}, step{};
  std::int64_t k = 1;

  /// From the first token to token j.
  constexpr Duration after(std::int64_t j) const { return j * gap + (j * (j - 1) / 2) * step; }
  /// Tokens that come before `t`. O(log k).
  constexpr std::int64_t before(Time t) const {
    std::int64_t low = 0, high = k;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (first + after(middle) < t) low = middle + 1;
      else high = middle;
    }
    return low;
  }
};

class Observer {
 public:
  virtual ~Observer() = default;
  /// A client asks; `output` tokens are what it would get. Call::arrival is now.
  virtual void on_asked(CallId, const Call&, Tokens32 /*output*/) {}
  /// What the client has got counts no more: a restart, or `next` is its call from now on.
  virtual void on_anew(CallId /*now*/, CallId /*next*/) {}
  /// A prompt has ended with a token; `first`: the call's first.
  virtual void on_token(CallId, const Call&, bool /*first*/, Time) {}
  /// All of `members` decoded together.
  virtual void on_tokens(std::span<const CallId> /*members*/, std::span<const CallRow>, const TokenRun&) {}
  /// The request leaves, or the run ends with it; the observer may fill what is its own in the row.
  virtual void on_left(CallId, Row&) {}
};

}  // namespace orrery
