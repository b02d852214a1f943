/// When something happens to the members of a decode group: a heap of 8 bytes an entry. Looking at the next one is
/// O(1), taking and adding are O(log n). Throws std::length_error beyond the bounds below.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

class DueList {
 public:
  /// A slot that is to be looked at when the group's clock is `clock`. `last`: its last token is out then; else its
  /// reservation is full. At one clock last tokens come first.
  struct Entry {
    std::int64_t clock;
    std::uint32_t slot;
    bool last;
  };
  static constexpr int kSlotBits = 26;                                          ///< 67 million calls in flight
  static constexpr std::int64_t kClocks = std::int64_t{1} << (63 - kSlotBits);   ///< 137 billion iterations of a lane

  bool empty() const { return keys_.empty(); }
  std::int64_t next_clock() const { return static_cast<std::int64_t>(keys_.front() >> (kSlotBits + 1)); }
  Entry front() const {
    const std::uint64_t key = keys_.front();
    return {static_cast<std::int64_t>(key >> (kSlotBits + 1)),
            static_cast<std::uint32_t>(key & ((std::uint64_t{1} << kSlotBits) - 1)),
            (key >> kSlotBits & 1) == 0};
  }
  void insert(const Entry& e) {
    if (e.clock >= kClocks || e.slot >> kSlotBits != 0) [[unlikely]] refuse();
    const std::uint64_t key = (static_cast<std::uint64_t>(e.clock) << 1 | !e.last) << kSlotBits | e.slot;
    keys_.push_back(key);
    rise(keys_.size() - 1, key);
  }
  /// The place at the top goes down along the earlier children, which is a sum and not a branch that nobody can guess;
  /// the last entry goes there and rises from there, most often not at all.
  void pop() {
    const std::uint64_t last = keys_.back();
    keys_.pop_back();
    const std::size_t n = keys_.size();
    if (n == 0) return;
    std::uint64_t* const keys = keys_.data();
    std::size_t hole = 0;
    for (std::size_t child; (child = 2 * hole + 1) < n; hole = child) {
      child += child + 1 < n && keys[child + 1] < keys[child];
      keys[hole] = keys[child];
    }
    rise(hole, last);
  }

 private:
  void rise(std::size_t i, std::uint64_t key) {
    std::uint64_t* const keys = keys_.data();
    for (; i > 0 && keys[(i - 1) / 2] > key; i = (i - 1) / 2) keys[i] = keys[(i - 1) / 2];
    keys[i] = key;
  }
  [[noreturn]] static void refuse() {
    throw std::length_error("more than 137 billion iterations of a station, or more than 67 million calls in flight");
  }

  std::vector<std::uint64_t> keys_;   ///< clock * 2 + (not the last token), then the slot
};

}  // namespace orrery
