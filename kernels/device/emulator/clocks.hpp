/// Vector clocks of one thread block: which memory accesses are ordered before which (Lamport, 1978; used as in
/// FastTrack, PLDI'09). One component for each warp and, for the copy engine (TMA), one for each barrier
/// (of 32) that its copies report to; within a warp, `epoch` counts
/// the points at which all its lanes met.
///
///   clocks.release(warp, barrier);       // what the warp did so far is in the barrier
///   clocks.acquire(warp, barrier);       // what is in the barrier happened before what the warp does now
///
/// Components only grow, over all blocks, so that stamps of an earlier block are ordered before everything.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace orrery::emulator {

inline constexpr int kMaxWarps = 16, kCopyEngine = kMaxWarps, kCopyAgents = 32, kAgents = kMaxWarps + kCopyAgents;

using VectorClock = std::array<std::uint32_t, kAgents>;

inline void join(VectorClock& into, const VectorClock& other) {
  for (int i = 0; i < kAgents; ++i) into[i] = std::max(into[i], other[i]);
}

/// Who accessed shared memory, and when. A collective access has lane kAllLanes.
inline constexpr int kAllLanes = 32;
struct Stamp {
  std::uint32_t clock = 0, epoch = 0;
  std::int16_t agent = -1, lane = 0;
};

class Clocks {
 public:
  Clocks() { start_block(); }

  void start_block() {
    VectorClock all{};
    for (const VectorClock& c : clock_) join(all, c);
    std::copy(copies_.begin(), copies_.end(), all.begin() + kCopyEngine);
    for (int w = 0; w < kMaxWarps; ++w) {
      clock_[w] = all;
      ++clock_[w][w];
      ++epoch_[w];
    }
  }
  void release(int warp, VectorClock& into) {
    join(into, clock_[warp]);
    ++clock_[warp][warp];
  }
  void acquire(int warp, const VectorClock& from) { join(clock_[warp], from); }
  /// All lanes of the warp have met, with their memory accesses before in order.
  void meet(int warp) { ++epoch_[warp]; }
  std::uint32_t epoch(int warp) const { return epoch_[warp]; }

  Stamp stamp(int warp, int lane) const {
    return {clock_[warp][warp], epoch_[warp], static_cast<std::int16_t>(warp), static_cast<std::int16_t>(lane)};
  }
  const VectorClock& of(int warp) const { return clock_[warp]; }
  /// A copy that reports to the barrier at byte `bar` has landed.
  Stamp copy_stamp(std::uint32_t bar) {
    const auto agent = static_cast<std::int16_t>(bar / 8 % kCopyAgents);
    return {++copies_[agent], 0, static_cast<std::int16_t>(kCopyEngine + agent), 0};
  }

  /// Is an access with this stamp ordered before what (warp, lane) does now?
  bool ordered(const Stamp& before, int warp, int lane) const {
    if (before.agent < 0) return true;
    if (before.agent != warp) return before.clock <= clock_[warp][before.agent];
    return before.lane == lane || before.epoch < epoch_[warp];
  }

 private:
  std::array<VectorClock, kMaxWarps> clock_{};
  std::array<std::uint32_t, kMaxWarps> epoch_{};
  std::array<std::uint32_t, kCopyAgents> copies_{};
};

}  // namespace orrery::emulator
