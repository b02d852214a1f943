/// A vector whose first N elements need no allocation, for lists that are nearly always short (the changes of one
/// iteration). Trivially copyable elements only; cleared, not freed, so a reused one settles at its largest size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace orrery {

template <class T, std::size_t N = 4>
class SmallVec {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void push_back(const T& value) {
    if (size_ < N) {
      here_[size_++] = value;
      return;
    }
    if (size_ == N) more_.assign(here_, here_ + N);
    more_.resize(size_);
    more_.push_back(value);
    ++size_;
  }
  template <class Pred>
  void erase_if(Pred drop) {
    const auto kept = static_cast<std::size_t>(std::remove_if(begin(), end(), drop) - begin());
    if (kept <= N && size_ > N) std::copy_n(more_.data(), kept, here_);
    if (size_ > N && kept > N) more_.resize(kept);
    size_ = kept;
  }
  T* data() { return size_ <= N ? here_ : more_.data(); }
  const T* data() const { return size_ <= N ? here_ : more_.data(); }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }
  operator std::span<const T>() const { return {data(), size_}; }  // NOLINT: a list is a span of its elements
  friend bool operator==(const SmallVec& a, const SmallVec& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  std::size_t size_ = 0;
  T here_[N];
  std::vector<T> more_;
};

}  // namespace orrery
