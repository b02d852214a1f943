/// How a reader's experience of a call will be if it is served for the next while, and if it waits: the gain that Andes
/// ranks by (andes.hpp). Arithmetic of + - * / alone, so that it is the same everywhere.
///
///   gain = (q_serve - q_wait) * (1 + bonus if it runs)
#pragma once

#include <algorithm>
#include <cstdint>

namespace orrery {

/// Seconds since the client asked; tokens.
struct Reading {
  double ttft = 1, tpot = 0.2;   ///< expected
  double now = 0;
  std::int64_t got = 0;

  /// Seconds until the text that is there is read, by the expected timeline; negative: the reader waits.
  double slack() const { return ttft + static_cast<double>(got) * tpot - now; }
  double q_serve(double horizon, double token_latency) const {
    if (got > 0 && slack() > 0 && token_latency <= tpot) return 1;
    const double want = (now + horizon) / tpot;
    const double ratio = (static_cast<double>(got) + horizon / std::max(tpot, token_latency)) / want;
    return std::min(1.0, ratio * ratio);
  }
  double q_wait(double horizon) const {
    const double want = (now + horizon) / tpot;
    if (want <= static_cast<double>(got)) return 1;
    if (got == 0) return now + horizon <= ttft ? 1 : 0;
    const double missing = (want - static_cast<double>(got)) / want;
    return 1 - missing * missing;
  }
};

}  // namespace orrery
