/// Tournament tree over a fixed number of int64 keys: the smallest, with the smallest index among equals, in O(1);
/// a change in O(log n). 16 bytes an entry.
///
///   MinTree tree(stations);  tree.set(3, to_ps(t));  tree.index();  // which is next
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace orrery {

class MinTree {
 public:
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

  explicit MinTree(std::size_t size)
      : leaves_(std::bit_ceil(size ? size : 1)), key_(leaves_, kNone), winner_(2 * leaves_) {
    for (std::size_t i = 0; i < leaves_; ++i) winner_[leaves_ + i] = static_cast<std::uint32_t>(i);
    for (std::size_t node = leaves_ - 1; node >= 1; --node) play(node);
  }

  std::int64_t min() const { return min_; }
  std::size_t index() const { return winner_[1]; }
  std::int64_t key(std::size_t i) const { return key_[i]; }
  /// The smallest key but for that of index(); O(log n) without a change.
  std::int64_t min_of_others() const {
    std::int64_t least = kNone;
    for (std::size_t node = leaves_ + index(); node > 1; node /= 2) {
      const std::int64_t other = key_[winner_[node ^ 1]];
      least = other < least ? other : least;
    }
    return least;
  }

  void set(std::size_t i, std::int64_t key) {
    if (key_[i] == key) return;
    key_[i] = key;
    for (std::size_t node = (leaves_ + i) / 2; node >= 1; node /= 2) {
      const bool won = winner_[node] == i;
      play(node);
      if (!won && winner_[node] != i) return;   // nothing above has seen it
    }
    min_ = key_[winner_[1]];
  }

 private:
  void play(std::size_t node) {
    const std::uint32_t a = winner_[2 * node], b = winner_[2 * node + 1];
    winner_[node] = key_[b] < key_[a] ? b : a;  // a is left, so it has the smaller index
  }

  std::size_t leaves_;
  std::int64_t min_ = kNone;
  std::vector<std::int64_t> key_;
  std::vector<std::uint32_t> winner_;   ///< [1] the root, [leaves_ + i] leaf i; of one leaf both
};

}  // namespace orrery
