#include "sim/metrics/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace orrery {

void Histogram::allocate(std::size_t octave) const { octaves_[octave] = std::make_unique<Octave>(); }

void Histogram::make_room() {
  settle();
  if (!recent_) recent_ = std::make_unique<Entry[]>(kRecent);
  room_ = kRecent;
}

void Histogram::settle() const {
  if (recently_ == 0) return;
  std::int64_t low = min_, high = max_, all = 0;
  Wide sum = 0;
  const Entry *const first = recent_.get(), *const end = first + recently_;
  for (const Entry* e = first; e != end; ++e) {
    const auto [value, count] = *e;
    count_in(value, count);
    low = std::min(low, value);
    high = std::max(high, value);
    all += count;
    sum += static_cast<Wide>(value) * count;
  }
  note(low, high, all, sum);
  if (exact_) all_.insert(all_.end(), first, end);
  recently_ = 0;
  sorted_ = false;
}

void Histogram::add_run(std::int64_t first, std::int64_t step, std::int64_t k, std::int64_t n) {
  if (step < 0) {  // the same values from the other end
    first += (k - 1) * step;
    step = -step;
  }
  if (step == 0 || k == 1) return add(first, k * n);
  if (exact_)
    for (std::int64_t j = 0; j < k; ++j) all_.push_back({first + j * step, n});
  sorted_ = false;
  std::int64_t value = first;
  for (std::int64_t left = k; left > 0;) {
    const int shift = shift_of(value);
    const std::int64_t next = ((value >> shift) + 1) << shift;  // where the next bucket begins
    const std::int64_t here = std::min(left, ceil_div(next - value, step));
    count_in(value, here * n);
    value += here * step;
    left -= here;
  }
  note(first, first + (k - 1) * step, k * n,
       (static_cast<Wide>(first) * k + static_cast<Wide>(step) * k * (k - 1) / 2) * n);
}

void Histogram::merge(const Histogram& other) {
  for (std::uint32_t i = 0; i < other.recently_; ++i) add(other.recent_[i].value, other.recent_[i].count);
  for (std::size_t o = 0; o < octaves_.size(); ++o) {
    if (!other.octaves_[o]) continue;
    if (!octaves_[o]) allocate(o);
    if (count_ + other.count_ <= std::numeric_limits<std::uint32_t>::max())   // nothing to carry
      for (std::size_t i = 0; i < octaves_[o]->size(); ++i) (*octaves_[o])[i] += (*other.octaves_[o])[i];
    else
      for (std::size_t i = 0; i < octaves_[o]->size(); ++i) put((o << kBits) + i, (*other.octaves_[o])[i]);
  }
  for (const auto& [bucket, count] : other.carried_) carried_[bucket] += count;
  if (other.count_ > 0) note(other.min_, other.max_, other.count_, other.sum_);
  misses_ += other.misses_;
  all_.insert(all_.end(), other.all_.begin(), other.all_.end());
  sorted_ = false;
}

std::int64_t Histogram::rank(double p, std::int64_t n) {
  // The small slack keeps 99 % of 100 at rank 99 whatever the rounding of the product.
  const auto r = static_cast<std::int64_t>(std::ceil(p * static_cast<double>(n) / 100 - 1e-9));
  return std::clamp<std::int64_t>(r, 1, std::max<std::int64_t>(n, 1));
}

std::int64_t Histogram::percentile_or_miss(double p) const {
  settle();
  const std::int64_t r = rank(p, count_ + misses_);
  if (r <= count_) return at_rank(r);
  return misses_ > 0 ? kMiss : 0;
}

double Histogram::share_within(std::int64_t value) const {
  settle();
  if (count_ + misses_ == 0) return 0;
  std::int64_t low = 0, high = count_;   // ranks: low is within, those above high are not
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (at_rank(middle) <= value) low = middle;
    else high = middle - 1;
  }
  return static_cast<double>(low) / static_cast<double>(count_ + misses_);
}

std::int64_t Histogram::at_rank(std::int64_t rank) const {
  if (count_ == 0) return 0;
  if (exact_) return exact_at_rank(rank);
  std::int64_t before = 0;
  for (int o = 0; o < static_cast<int>(octaves_.size()); ++o) {
    if (!octaves_[o]) continue;
    const int shift = o > 1 ? o - 1 : 0;
    const std::int64_t base = o > 0 ? std::int64_t{1} << kBits : 0;
    for (std::size_t i = 0; i < octaves_[o]->size(); ++i) {
      const std::int64_t here = in_bucket((static_cast<std::size_t>(o) << kBits) + i);
      if (before + here < rank) {
        before += here;
        continue;
      }
      const std::int64_t low = (base + static_cast<std::int64_t>(i)) << shift;
      const Wide into = (static_cast<Wide>(1) << shift) * (2 * (rank - before) - 1) / (2 * static_cast<Wide>(here));
      return std::clamp(low + static_cast<std::int64_t>(into), min_, max_);
    }
  }
  return max_;
}

std::int64_t Histogram::exact_at_rank(std::int64_t rank) const {
  if (!sorted_) {
    std::sort(all_.begin(), all_.end(), [](const Entry& a, const Entry& b) { return a.value < b.value; });
    sorted_ = true;
  }
  std::int64_t before = 0;
  for (const Entry& e : all_) {
    before += e.count;
    if (before >= rank) return e.value;
  }
  return max_;
}

}  // namespace orrery
