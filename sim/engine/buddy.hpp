/// Buddy allocator over N slots of contiguous KV memory: runs of 2^order slots at addresses that are multiples of their
/// length. N need not be a power of two: it is taken as a sum of powers of two, longest first, which never merge.
/// A run is taken from the smallest order that has one, at the lowest address, and split down; a freed run merges with
/// its free buddy as far as it goes. So the counts after alloc are those of BatchPlan::take_run (plan.hpp).
///
/// Complexity: alloc and free O(log N) steps, each an insertion into a short sorted list of free runs. Addresses are
/// deterministic. alloc returns kNone if no run is long enough; free of what was not allocated is the caller's error.
///
///   Buddy buddy(3000);                        // 2048 + 512 + 256 + 128 + 32 + 16 + 8
///   std::int64_t at = buddy.alloc(Buddy::order_for(700));     // 1024 slots
///   buddy.free(at, Buddy::order_for(700));
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <tuple>
#include <vector>

#include "sim/policy.hpp"

namespace orrery {

class Buddy {
 public:
  static constexpr std::int64_t kNone = -1;
  static constexpr int kOrders = static_cast<int>(std::tuple_size_v<BuddyRuns>);

  explicit Buddy(std::int64_t slots = 0);    ///< 0 <= slots < 2^40

  /// The smallest order whose runs hold `slots`.
  static int order_for(std::int64_t slots) {
    return slots > 1 ? static_cast<int>(std::bit_width(static_cast<std::uint64_t>(slots - 1))) : 0;
  }

  /// Address of a run of 2^order slots, or kNone.
  std::int64_t alloc(int order);
  void free(std::int64_t address, int order);

  const BuddyRuns& runs() const { return runs_; }      ///< free runs by order
  std::int64_t slots() const { return slots_; }
  std::int64_t free_slots() const { return free_; }
  /// Slots of the longest free run; 0 if none.
  std::int64_t longest() const;

 private:
  void insert(std::int64_t address, int order);
  bool remove(std::int64_t address, int order);

  std::array<std::vector<std::int64_t>, kOrders> lists_;   ///< addresses of free runs, descending
  BuddyRuns runs_{};
  std::int64_t slots_ = 0, free_ = 0;
};

}  // namespace orrery
