/// Calls that decode in lockstep, one token each an iteration, in closed form: a run of k iterations costs O(1).
/// Join, leave and finish are O(log n) in the number of members.
///
/// Sums (context, tokens still allowed) move with the clock. The blocks that the members need come from counters by
/// phase: a member that joined with c tokens at clock j holds c + clock - j now, and needs a block for its next token
/// when that is a multiple of the block size B, that is, when clock = j - c modulo B. Members with room reserved beyond
/// their context need none until that is used up.
///
/// What happens to a member at a known clock (its last token, its reservation full) stands in a list by clock
/// (due_list.hpp). Entries of members that left are dropped when they come up.
///
/// The state that policies may see is kept as they see it, a GroupView.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/engine/call_table.hpp"
#include "sim/engine/due_list.hpp"
#include "sim/policy.hpp"

namespace orrery {

class DecodeGroup {
 public:
  struct Due {
    CallId call;
    bool done;              ///< its last token is out; else its reservation is full
  };

  /// `grows`: members whose reservation is used up take blocks one by one (false for contiguous runs).
  DecodeGroup(int lane, Tokens block, bool grows)
      : block_(block.value()), mask_((block_ & (block_ - 1)) == 0 ? block_ - 1 : -1), grows_(grows),
        phase_(static_cast<std::size_t>(block_)) {
    now_.id = GroupId{lane};
  }

  /// As policies see it; valid until it changes.
  const GroupView& view() const { return now_; }
  std::int64_t clock() const { return now_.clock; }
  std::int32_t size() const { return now_.size; }
  bool empty() const { return now_.size == 0; }
  std::span<const CallId> members() const { return now_.members; }
  Tokens context() const { return now_.context; }
  std::int32_t roomy() const { return now_.size - growing_; }   ///< members with reserved room ahead
  Tokens longest() const { return now_.longest; }

  /// The call has progress.computed tokens of KV and starts to decode with the next iteration.
  void join(CallId id, CallTable& calls) {
    Progress& p = calls.progress(id);
    const Call& call = calls.call(id);
    p.stage = Stage::kDecode;
    p.joined = static_cast<std::uint32_t>(now_.clock);
    p.place = size();
    members_.push_back(id);
    now_.context += p.computed;
    now_.remaining_max += call.max_tokens - p.emitted;
    now_.longest = std::max(now_.longest, Tokens{p.computed});
    const std::int64_t done = now_.clock + (calls.secret(id).output - p.emitted).value();
    due_.insert({done, id.index, true});
    if (p.reserved <= p.computed) {
      grow_by_blocks(p, 1);
    } else if (const std::int64_t full = now_.clock + (p.reserved - p.computed).value(); full < done) {
      due_.insert({full, id.index, false});
    }
    members_changed();
  }

  /// Takes a member out before its last token.
  void leave_early(CallId id, CallTable& calls) {
    const Progress& p = calls.progress(id);
    stale_ += 1 + (p.reserved > p.computed);
    leave(id, calls);
  }
  /// Takes a member out and brings its progress up to date.
  void leave(CallId id, CallTable& calls) {
    Progress& p = calls.progress(id);
    if (p.reserved <= p.computed) grow_by_blocks(p, -1);
    const auto ran = static_cast<std::int32_t>(p.ran(now_.clock));
    p.emitted += Tokens32{ran};
    p.computed += Tokens32{ran};
    now_.context -= p.computed;
    now_.remaining_max -= calls.call(id).max_tokens - p.emitted;
    const CallId last = members_.back();
    members_[static_cast<std::size_t>(p.place)] = last;
    calls.progress(last).place = p.place;
    members_.pop_back();
    p.place = -1;
    members_changed();
    if (empty()) now_.longest = Tokens{};
  }

  /// A member whose reservation is full goes on block by block from here.
  void release_reservation(CallId id, CallTable& calls) {
    Progress& p = calls.progress(id);
    const auto ran = static_cast<std::int32_t>(p.ran(now_.clock));
    p.emitted += Tokens32{ran};
    p.computed += Tokens32{ran};
    p.joined = static_cast<std::uint32_t>(now_.clock);
    grow_by_blocks(p, 1);
    now_.needed = need(0);
  }

  void advance(std::int64_t k) {
    const Tokens all{k * now_.size};
    now_.clock += k;
    now_.context += all;
    now_.remaining_max -= all;
    now_.longest += Tokens{k};             // its members are there; with none left it is set to zero
    now_.needed = need(0);
  }

  /// Iterations until a member is due, from now; at least 0. Large if nobody is.
  std::int64_t until_due(const CallTable& calls) {
    drop_stale(calls);
    return due_.empty() ? kFar : due_.next_clock() - now_.clock;
  }
  /// False: nobody is due now. True: somebody may be.
  bool anyone_due() const { return !due_.empty() && due_.next_clock() <= now_.clock; }
  /// Takes an entry that is due now, last tokens before full reservations, else in no order; false if none is.
  bool pop_due(const CallTable& calls, Due& out) {
    drop_stale(calls);
    if (!anyone_due()) return false;
    const DueList::Entry e = due_.front();
    due_.pop();
    out = {members_[static_cast<std::size_t>(calls.rows()[e.slot].progress.place)], e.last};
    return true;
  }

  /// Blocks needed for the next iteration: need(0).
  Blocks needed() const { return now_.needed; }
  /// Blocks needed for the iteration that starts at clock() + i.
  Blocks need(std::int64_t i) const { return Blocks{growing_ ? phase_[index(now_.clock + i)] : 0}; }
  /// Blocks needed for k iterations from now. O(min(k, B)).
  Blocks need_total(std::int64_t k) const {
    if (growing_ == 0) return Blocks{};
    std::int64_t sum = k / block_ * growing_;
    for (std::int64_t i = 0, at = index_of(now_.clock); i < k % block_; ++i) {
      sum += phase_[static_cast<std::size_t>(at)];
      at = at == 0 ? block_ - 1 : at - 1;
    }
    return Blocks{sum};
  }
  /// The largest k <= limit whose iterations fit in `available` blocks; 0 if not even one does.
  std::int64_t fit(std::int64_t limit, Blocks available) const {
    if (growing_ == 0) return limit;
    const std::int64_t rounds = available.value() / growing_;
    if (rounds >= limit / block_ + 1) return limit;
    std::int64_t k = rounds * block_, left = available.value() - rounds * growing_;
    if (k >= limit) return limit;
    while (k < limit && phase_[index(now_.clock + k)] <= left) left -= phase_[index(now_.clock + k++)];
    return k;
  }

  /// As policies see it `ahead` iterations from now (a look into a run that is under way).
  GroupView view(std::int64_t ahead) const {
    GroupView v = now_;
    const Tokens all{ahead * v.size};
    v.needed = need(ahead);
    v.clock += ahead;
    v.context += all;
    v.remaining_max -= all;
    if (v.size > 0) v.longest += Tokens{ahead};
    return v;
  }

  static constexpr std::int64_t kFar = std::int64_t{1} << 60;

 private:
  std::int64_t wrap(std::int64_t x) const {          // x modulo B, in [0, B)
    if (mask_ >= 0) return x & mask_;
    const std::int64_t r = x % block_;
    return r < 0 ? r + block_ : r;
  }
  std::int64_t index_of(std::int64_t clock) const { return wrap(-clock); }  // phase p needs a block when B | clock + p
  std::size_t index(std::int64_t clock) const { return static_cast<std::size_t>(index_of(clock)); }
  std::int64_t joined(const Progress& p) const { return now_.clock - p.ran(now_.clock); }
  void members_changed() {
    now_.members = members_;
    now_.size = static_cast<std::int32_t>(members_.size());
    now_.needed = need(0);
  }
  void grow_by_blocks(const Progress& p, std::int32_t delta) {
    if (!grows_) return;
    phase_[static_cast<std::size_t>(wrap(p.computed.value() - joined(p)))] += delta;
    growing_ += delta;
  }
  /// Is it not, or no more, an entry of a member? The slot may have gone to another call: it is that one's then, if
  /// join() would have made it of it, and comes up twice.
  bool stale(const DueList::Entry& e, const CallTable& calls) const {
    const Progress& p = calls.rows()[e.slot].progress;
    if (p.stage != Stage::kDecode || (!e.last && p.reserved <= p.computed)) return true;
    const auto place = static_cast<std::size_t>(p.place);   // it may decode in another group
    if (place >= members_.size() || members_[place].index != e.slot) return true;
    const std::int64_t left = (calls.secret(members_[place]).output - p.emitted).value();
    const std::int64_t room = (p.reserved - p.computed).value();
    if (!e.last && room >= left) return true;   // it ends before
    const std::int64_t ahead = e.last ? left : room;
    return joined(p) + ahead != e.clock;
  }
  void drop_stale(const CallTable& calls) {
    if (stale_ == 0) return;
    while (!due_.empty() && stale(due_.front(), calls)) due_.pop();
    if (due_.empty()) stale_ = 0;
  }

  std::int64_t block_;
  std::int64_t mask_;             ///< B - 1 if B is a power of two, else -1
  bool grows_;
  GroupView now_;
  std::int32_t growing_ = 0;      ///< members that take blocks one by one
  std::vector<std::int32_t> phase_;   ///< of these, by phase
  std::vector<CallId> members_;
  DueList due_;
  std::int64_t stale_ = 0;        ///< > 0: some entries may be of members that left early
};

}  // namespace orrery
