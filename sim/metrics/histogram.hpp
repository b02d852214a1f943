/// Log-linear histogram of non-negative integers (picoseconds or plain counts): 1024 buckets an octave, so a bucket is
/// at most 1/1024 of its values wide and values below 2048 are exact. Octaves are allocated when first touched (4 KiB).
/// Sum, count, minimum and maximum are exact. Misses are entries of +infinity: they count in percentile_or_miss() only.
///
/// Percentiles are nearest rank: p of n values is the ceil(p/100 * n)-th smallest. Inside a bucket of c values the i-th
/// is placed at (i - 1/2) / c of the bucket's width and clamped to [min, max]; the error is below one bucket (0.1 %).
/// With `exact` every value is kept as well and percentiles are values that occurred.
///
/// Complexity: add O(1), about 2 ns; add_run O(buckets crossed) however long the run; merge O(allocated buckets). What
/// is added is put down first and counted 256 at a time: the bucket of one value is far from that of the next, and in a
/// loop a processor waits for many of them at once. A histogram of fewer values needs no buckets.
///
///   Histogram h;
///   h.add(to_ps(ttft));
///   double p99 = h.percentile(99) * 1e-12;
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

class Histogram {
 public:
  static constexpr int kBits = 10;                                ///< 2^10 buckets an octave
  static constexpr std::int64_t kMiss = std::numeric_limits<std::int64_t>::max();  ///< what a missed percentile is

  explicit Histogram(bool exact = false) : exact_(exact) {}

  /// `count` observations of `value` >= 0; count >= 1.
  void add(std::int64_t value, std::int64_t count = 1) {
    if (recently_ == room_) make_room();
    recent_[recently_++] = {value < 0 ? 0 : value, count};   // a broken invariant that identities.hpp reports
  }
  /// n observations of each of first + j * step, j in [0, k); k >= 1, n >= 1, all of them >= 0.
  void add_run(std::int64_t first, std::int64_t step, std::int64_t k, std::int64_t n);
  void add_miss(std::int64_t count = 1) { misses_ += count; }
  void merge(const Histogram& other);

  std::int64_t count() const { return settle(), count_; }         ///< without misses
  Wide sum() const { return settle(), sum_; }
  std::int64_t min() const { return count() ? min_ : 0; }
  std::int64_t max() const { return count() ? max_ : 0; }
  double mean() const { return count() ? static_cast<double>(sum_) / static_cast<double>(count_) : 0; }
  /// Of the values without misses; 0 if there are none.
  std::int64_t percentile(double p) const { return at_rank(rank(p, count())); }
  /// With misses as +infinity: kMiss if the rank falls on one.
  std::int64_t percentile_or_miss(double p) const;
  /// Share of all, misses included, that are at most `value`; 0 of none. At least p/100 where percentile_or_miss(p) is.
  double share_within(std::int64_t value) const;

 private:
  /// Small counts, so that the hot ones stay in a cache; what one has beyond 2^32 stands in `carried_`.
  using Octave = std::array<std::uint32_t, std::size_t{1} << kBits>;
  struct Entry {
    std::int64_t value, count;
  };

  /// A bucket holds 2^shift values: the shift leaves eleven bits of values from 2048 on and is 0 below. Buckets are
  /// numbered through, shift * 1024 + (value >> shift), and octave o begins with number 1024 * o.
  static int shift_of(std::int64_t value) {
    constexpr std::uint64_t exact = (std::uint64_t{2} << kBits) - 1;
    return 63 - kBits - std::countl_zero(static_cast<std::uint64_t>(value) | exact);
  }
  void count_in(std::int64_t value, std::int64_t count) const {
    const int shift = shift_of(value);
    put((static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(value >> shift), count);
  }
  void put(std::size_t bucket, std::int64_t count) const {
    const std::size_t o = bucket >> kBits;
    if (!octaves_[o]) allocate(o);
    std::uint32_t& low = (*octaves_[o])[bucket & ((std::size_t{1} << kBits) - 1)];
    const std::uint64_t sum = low + static_cast<std::uint64_t>(count);
    low = static_cast<std::uint32_t>(sum);
    if (sum >> 32 != 0) [[unlikely]] carried_[bucket] += static_cast<std::int64_t>(sum >> 32 << 32);
  }
  std::int64_t in_bucket(std::size_t bucket) const {
    const std::int64_t low = (*octaves_[bucket >> kBits])[bucket & ((std::size_t{1} << kBits) - 1)];
    if (carried_.empty()) return low;
    const auto carried = carried_.find(bucket);
    return carried == carried_.end() ? low : low + carried->second;
  }
  void make_room();
  void settle() const;                                            ///< counts the recent ones
  void note(std::int64_t low, std::int64_t high, std::int64_t count, Wide sum) const {
    count_ += count;
    sum_ += sum;
    min_ = low < min_ ? low : min_;
    max_ = high > max_ ? high : max_;
  }
  void allocate(std::size_t octave) const;
  static std::int64_t rank(double p, std::int64_t n);
  std::int64_t at_rank(std::int64_t rank) const;                  ///< 1-based
  std::int64_t exact_at_rank(std::int64_t rank) const;

  static constexpr std::uint32_t kRecent = 256;

  // Without the recent ones, which a question counts first.
  mutable std::array<std::unique_ptr<Octave>, 64 - kBits> octaves_;
  mutable std::map<std::size_t, std::int64_t> carried_;           ///< by bucket, multiples of 2^32
  mutable std::int64_t count_ = 0;
  mutable std::int64_t min_ = std::numeric_limits<std::int64_t>::max(), max_ = 0;
  mutable Wide sum_ = 0;
  std::int64_t misses_ = 0;
  bool exact_;
  mutable std::uint32_t recently_ = 0;
  std::uint32_t room_ = 0;                                        ///< 0 or kRecent
  std::unique_ptr<Entry[]> recent_;
  mutable bool sorted_ = false;
  mutable std::vector<Entry> all_;                                ///< exact only; sorted when first asked
};

}  // namespace orrery
