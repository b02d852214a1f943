/// A queue of calls sorted by (key, number), contiguous so that a view is a span. Entering at either end and leaving
/// at the front are O(1) amortised; anything else moves what lies behind, O(n) of 8 bytes each.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "sim/engine/call_table.hpp"

namespace orrery {

class CallQueue {
 public:
  bool empty() const { return view_.empty(); }
  std::size_t size() const { return view_.size(); }
  std::span<const CallId> view() const { return view_; }

  void insert(CallId id, const CallTable& calls) {
    auto before = [&](CallId a, CallId b) {
      const auto ka = calls.key(a), kb = calls.key(b);
      return ka != kb ? ka < kb : calls.call(a).number < calls.call(b).number;
    };
    if (empty() || before(items_.back(), id)) {
      compact();
      items_.push_back(id);
    } else if (head_ > 0 && before(id, items_[head_])) {
      items_[--head_] = id;
    } else {
      const auto first = items_.begin() + static_cast<std::ptrdiff_t>(head_);
      items_.insert(std::upper_bound(first, items_.end(), id, before), id);
    }
    update();
  }

  void remove(CallId id) {
    if (items_[head_] == id) ++head_;
    else items_.erase(std::find(items_.begin() + static_cast<std::ptrdiff_t>(head_), items_.end(), id));
    update();
  }

  /// Sorts anew after keys changed. O(n log n); O(n) if they are in order still.
  void resort(const CallTable& calls) {
    auto before = [&](CallId a, CallId b) {
      const auto ka = calls.key(a), kb = calls.key(b);
      return ka != kb ? ka < kb : calls.call(a).number < calls.call(b).number;
    };
    const auto first = items_.begin() + static_cast<std::ptrdiff_t>(head_);
    if (!std::is_sorted(first, items_.end(), before)) std::sort(first, items_.end(), before);
  }

 private:
  /// Gives back the room before the head once it is most of the storage; keeps a little for entries at the front.
  void compact() {
    if (empty()) {
      items_.clear();
      head_ = 0;
    } else if (head_ > 1024 && head_ > size()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_ - 16));
      head_ = 16;
    }
  }

  void update() { view_ = std::span<const CallId>(items_).subspan(head_); }

  std::vector<CallId> items_;
  std::size_t head_ = 0;
  std::span<const CallId> view_;   ///< asked for at every plan
};

}  // namespace orrery
