/// Fingerprint of a run: every decision of every station, then every row and the exact sums. Equal inputs give equal
/// fingerprints over compilers, optimisation levels, processors and fast-forward (docs/INVARIANTS.md). A decision is
/// hashed when it is made, in the order of its station; a batch that goes on unchanged adds nothing.
#pragma once

#include <bit>
#include <cstdint>

#include "sim/base/rng.hpp"
#include "sim/base/units.hpp"
#include "sim/metrics/row.hpp"

namespace orrery {

/// Kinds of decision, part of every fingerprint; never renumbered.
enum class Decision : std::uint8_t { kAdmit = 1, kChunk = 2, kRecompute = 3, kSwap = 4, kRestart = 5, kFail = 6,
                                     kResume = 7, kReject = 8, kRoute = 9, kDecode = 10, kPause = 11, kCancel = 12,
                                     kMoveOut = 13, kMoveIn = 14, kLose = 15 };

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

/// Odd multipliers that spread the fields of a record before one round of mixing.
inline constexpr std::uint64_t kOdd[] = {0x9e3779b97f4a7c15ull, 0xc2b2ae3d27d4eb4full, 0x165667b19e3779f9ull,
                                         0xd6e8feb86659fd93ull, 0xa0761d6478bd642full, 0xe7037ed1a0b428dbull};

constexpr std::uint64_t fold(std::uint64_t hash, const DecisionRecord& d) {
  const auto what = static_cast<std::uint64_t>(d.clock) * 1024 + static_cast<std::uint64_t>(d.lane) * 16 +
                    static_cast<std::uint64_t>(d.kind);
  return hash_combine(hash, what * kOdd[0] ^ d.number * kOdd[1] ^ static_cast<std::uint64_t>(d.tokens) * kOdd[2]);
}

constexpr std::uint64_t fold(std::uint64_t hash, const Row& r) {
  const auto ps = [](Time t) { return static_cast<std::uint64_t>(to_ps(t)); };
  const auto tokens = static_cast<std::uint64_t>(r.output.value()) << 32 | static_cast<std::uint32_t>(r.cached.value());
  const auto rest =
      r.number * 4096 + static_cast<std::uint64_t>(r.preemptions) * 8 + static_cast<std::uint64_t>(r.status);
  hash = hash_combine(hash, ps(r.arrival) * kOdd[0] ^ ps(r.first_schedule) * kOdd[1] ^ ps(r.first_token) * kOdd[2] ^
                                ps(r.finish) * kOdd[3] ^ tokens * kOdd[4] ^ rest * kOdd[5]);
  if (r.qoe >= 0) hash = hash_combine(hash, std::bit_cast<std::uint64_t>(r.qoe));
  return r.retries == 0 ? hash : hash_combine(hash, r.retries);
}

}  // namespace orrery
