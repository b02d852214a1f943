/// A vector whose first N elements need no allocation, for lists that are nearly always short (the changes of one
/// iteration). Trivially copyable elements only; cleared, not freed, so a reused one settles at its largest size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace orrery {

template <class T, std::size_t N = 4>
class SmallVec {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  SmallVec() = default;
  SmallVec(const SmallVec& other) { *this = other; }
  SmallVec& operator=(const SmallVec& other) {
    size_ = 0;
    while (capacity_ < other.size_) grow();
    std::copy_n(other.data_, other.size_, data_);
    size_ = other.size_;
    return *this;
  }

  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void push_back(const T& value) {
    if (size_ == capacity_) {
      const T kept = value;   // it may be an element
      grow();
      data_[size_++] = kept;
    } else {
      data_[size_++] = value;
    }
  }
  template <class Pred>
  void erase_if(Pred drop) {
    size_ = static_cast<std::size_t>(std::remove_if(begin(), end(), drop) - begin());
  }
  void erase(const T& value) {
    erase_if([&](const T& x) { return x == value; });
  }
  /// Keeps the first n, of at least as many.
  void truncate(std::size_t n) { size_ = n; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  std::span<const T> view() const { return {data_, size_}; }
  operator std::span<const T>() const { return view(); }  // NOLINT: a list is a span of its elements
  friend bool operator==(const SmallVec& a, const SmallVec& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  void grow() {
    auto more = std::make_unique<T[]>(2 * capacity_);
    std::copy_n(data_, size_, more.get());
    more_ = std::move(more);
    data_ = more_.get();
    capacity_ *= 2;
  }

  T* data_ = here_;
  std::size_t size_ = 0, capacity_ = N;
  T here_[N];
  std::unique_ptr<T[]> more_;
};

}  // namespace orrery
