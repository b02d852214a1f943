/// Where the time to first token of slow requests goes. Requests of about the same TTFT (an eighth of an octave) are
/// summed together, so that a percentile, which is known only at the end, can be taken apart then: exact sums of whole
/// requests, not a model. O(1) a request, about 3 ns; 0.8 kB for each octave of TTFT that occurs.
///
///   TtftParts parts;   parts.add(row);            // of requests that are done
///   TtftParts::Sums s = parts.around(99);         // those among which the p99 lies
///   s.total == s.retries + s.queue() + s.load + s.set_back + s.prefill
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>

#include "sim/base/units.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

class TtftParts {
 public:
  /// Sums over `count` requests, ps.
  struct Sums {
    std::int64_t count = 0;
    std::int64_t computed = 0;   ///< prompt tokens that had to be computed: without prefix hits
    Wide total = 0;              ///< TTFT
    Wide waiting = 0;            ///< of it, until the last attempt was scheduled first
    Wide retries = 0;            ///< of `waiting`, from the first attempt's arrival to the last one's
    Wide load = 0;               ///< of `waiting`, until weights were loaded
    Wide set_back = 0;           ///< from the first schedule to the last before the token: preempted or moved meanwhile
    std::int64_t low = 0, high = 0;   ///< ps: the TTFT of all is in [low, high)

    Wide queue() const { return waiting - retries - load; }
    Wide prefill() const { return total - waiting - set_back; }   ///< in the batch, until the token
  };

  void add(const Row& row);
  void merge(const TtftParts& other);
  /// The group in which the request of that rank (nearest, of all that were added) is; zeros if there is none.
  Sums around(double percentile) const;

 private:
  static constexpr std::size_t kEighths = 8, kOctaves = 64;
  using Octave = std::array<Sums, kEighths>;
  Octave& open(std::size_t octave);
  Sums& group(std::int64_t ttft);
  std::array<std::unique_ptr<Octave>, kOctaves> octaves_{};
};

/// By the position of the highest bit and the three bits behind it; below 16 ps by the value.
inline TtftParts::Sums& TtftParts::group(std::int64_t ttft) {
  const auto value = static_cast<std::uint64_t>(ttft);
  const auto width = static_cast<int>(std::bit_width(value));
  const std::size_t octave = width > 4 ? static_cast<std::size_t>(width - 3) : value >> 3;
  const std::size_t eighth = (value >> (width > 4 ? width - 4 : 0)) & 7;
  Octave* found = octaves_[octave].get();
  return (found != nullptr ? *found : open(octave))[eighth];
}

inline void TtftParts::add(const Row& row) {
  const std::int64_t ttft = to_ps(row.ttft());
  Sums& s = group(ttft);
  ++s.count;
  s.computed += row.prompt.value() - row.cached.value();
  s.total += ttft;
  s.waiting += to_ps(row.queue());
  if ((to_ps(row.retried) | to_ps(row.load) | to_ps(row.set_back)) == 0) return;
  s.retries += to_ps(row.retried);
  s.load += to_ps(std::min(row.load, row.queue() - row.retried));
  s.set_back += to_ps(row.set_back);
}

}  // namespace orrery
