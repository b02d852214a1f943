/// Fingerprint of a run: every decision of every station, then every row and the exact sums. Equal inputs give equal
/// fingerprints over compilers, optimisation levels, processors and fast-forward (docs/INVARIANTS.md). A decision is
/// hashed when it is made, in the order of its station; a batch that goes on unchanged adds nothing.
#pragma once

#include <cstdint>

#include "sim/base/rng.hpp"
#include "sim/base/units.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

/// Kinds of decision, part of every fingerprint; never renumbered.
enum class Decision : std::uint8_t { kAdmit = 1, kChunk = 2, kRecompute = 3, kSwap = 4, kRestart = 5, kFail = 6,
                                     kResume = 7, kReject = 8, kRoute = 9, kDecode = 10, kPause = 11, kCancel = 12 };

/// A decision as a listener sees it; for comparisons with the twin and with real engines.
struct DecisionRecord {
  std::int32_t station, lane;
  std::int64_t clock;        ///< of the lane's group
  Decision kind;
  std::uint64_t number;      ///< of the call; 0 for kDecode and kPause
  std::int64_t tokens;
  friend bool operator==(const DecisionRecord&, const DecisionRecord&) = default;
};

class DecisionSink {
 public:
  virtual ~DecisionSink() = default;
  virtual void decision(Time now, const DecisionRecord&) = 0;
};

constexpr std::uint64_t fold(std::uint64_t hash, const DecisionRecord& d) {
  hash = hash_combine(hash, static_cast<std::uint64_t>(d.clock) * 1024 + static_cast<std::uint64_t>(d.lane) * 16 +
                                static_cast<std::uint64_t>(d.kind));
  return hash_combine(hash, d.number * 0x100000001b3ull ^ static_cast<std::uint64_t>(d.tokens));
}

constexpr std::uint64_t fold(std::uint64_t hash, const Row& r) {
  hash = hash_combine(hash, r.number);
  for (const Time t : {r.arrival, r.first_schedule, r.first_token, r.finish})
    hash = hash_combine(hash, static_cast<std::uint64_t>(to_ps(t)));
  const auto tokens = static_cast<std::uint64_t>(r.output.value()) << 32 | static_cast<std::uint32_t>(r.cached.value());
  return hash_combine(hash, tokens + static_cast<std::uint64_t>(r.preemptions) * 8 +
                                static_cast<std::uint64_t>(r.status));
}

}  // namespace orrery
