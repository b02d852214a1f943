/// BatchPlan: what a batcher wants to change for the next iteration of one lane, booked against a shadow of the KV
/// counters, so that a plan that was accepted can always be carried out. It lists changes: the members of the decode
/// group are named by `decode(group)`, never one by one, and their growth is implied.
///
///   Tokens left = budget - plan.decode(station.group);           // makes room first: may preempt
///   for (CallId call : station.prefilling) left -= plan.prefill(call, left);
///   for (CallId call : station.waiting) if (!plan.admit(call)) break; else left -= plan.prefill(call, left);
///
/// Every operation is O(1) in the size of the batch, but for preemption (O(running) to find the victim) and admission
/// with a prefix cache (O(segments)). A plan refers to the view it was made from and must not outlive it.
#pragma once

#include <cstdint>
#include <limits>

#include "sim/base/small_vec.hpp"
#include "sim/base/units.hpp"
#include "sim/policy.hpp"

namespace orrery {

/// How often a plan may be used again. A plan with an admission, a departure or a resumption runs once, and one with
/// chunks but for `chunk`.
struct Repeat {
  std::int64_t iterations = 1;
  /// As long as nothing else happens at the station, the plan after one with a single chunk gives as many tokens to the
  /// same prompt again, if it has as many left, and is the same otherwise; whoever this plan admitted is there by then.
  /// True where the chunk is what a budget leaves to it: with nothing left over, nobody else gets anything.
  bool chunk = false;
  static constexpr Repeat once() { return {1}; }
  /// Until something happens at the station: an arrival, a call done or full, KV running short.
  static constexpr Repeat while_unchanged() { return {std::numeric_limits<std::int64_t>::max()}; }
  static constexpr Repeat at_most(std::int64_t n) { return {n}; }
  constexpr void at_most_also(std::int64_t n) { iterations = n < iterations ? n : iterations; }
};

class BatchPlan {
 public:
  struct Chunk {
    CallId call;
    Tokens q;
    friend bool operator==(const Chunk&, const Chunk&) = default;
  };
  struct Admission {
    CallId call;
    Tokens cached;    ///< prefix hit
    Tokens reserve;   ///< tokens held from now on
    Tokens promise;   ///< tokens guaranteed; 0: none
    friend bool operator==(const Admission&, const Admission&) = default;
  };
  struct Departure {
    CallId call;
    Leave how;
    friend bool operator==(const Departure&, const Departure&) = default;
  };
  /// Rows of a padded batch that compute nothing useful (request-level batching).
  struct Padding {
    Tokens prefill;             ///< prompt tokens
    std::int64_t pairs = 0;     ///< their query-key pairs
    Tokens decodes;             ///< rows of finished calls
    Tokens decode_context;      ///< context beyond that of the members, finished rows and padding of shorter ones;
                                ///< of the first iteration: it grows by `decodes` an iteration
    friend bool operator==(const Padding&, const Padding&) = default;
  };

  void reset(const StationView& station, const Batcher& batcher);

  /// The whole group decodes one token each. First finds the blocks that this needs, preempting victims while they
  /// are short. Returns how many members are left to run; 0 if the group must wait for a swap to end.
  Tokens decode(const GroupView& group);
  /// Takes a waiting call in, with room for its whole prompt or for `chunk` tokens as the KvPolicy says. False, and
  /// nothing booked, if KV is short.
  bool admit(CallId call) { return admit(call, Tokens::max()); }
  bool admit(CallId call, Tokens chunk);
  /// Computes up to `q` prompt tokens of an admitted call; less if the prompt ends or KV is short. Returns how many.
  Tokens prefill(CallId call, Tokens q);
  /// The same for a call of an earlier plan whose KV is taken chunk by chunk: finds the blocks first, as decode() does.
  /// 0 if the call was itself the victim. Where the whole prompt's room was taken at admission, this is prefill().
  Tokens continue_prefill(CallId call, Tokens q);
  /// A swapped call rejoins the decode group with this iteration. False if there is no room.
  bool resume(CallId call);
  void preempt(CallId call, Leave how);
  void preempt(CallId call);            ///< as the KvPolicy says; kFail if it holds all KV alone and needs more
  Leave leaving(CallId call) const;     ///< as the KvPolicy says; recompute where a swap is impossible
  void pad(const Padding& padding) {
    padding_ = padding;
    padded_ = padding != Padding{};
  }

  Repeat repeat = Repeat::once();

  std::int32_t running() const { return running_; }   ///< calls that hold KV once the plan is carried out, all lanes
  Blocks available() const { return available_; }     ///< blocks that may still be booked
  Blocks pending() const { return pending_; }         ///< blocks that calls of this plan's swaps give back
  bool has_left(CallId call) const;                   ///< preempted by this plan
  /// Prompt tokens to compute, also for a call that this plan admitted (its prefix hit taken off).
  Tokens remaining(CallId call) const;

  // What the engine carries out, in this order: leave, resume, admit, then the step.
  /// The plan for the step after this one, as `repeat.chunk` says: without those who have come.
  void next() { admit_.clear(); }
  bool decodes() const { return decodes_; }
  Tokens decoding() const { return decoding_; }
  const SmallVec<Departure>& leave() const { return leave_; }
  const SmallVec<CallId>& resumed() const { return resume_; }
  const SmallVec<Admission>& admitted() const { return admit_; }
  const SmallVec<Chunk>& chunks() const { return chunks_; }
  const Padding& padding() const { return padding_; }
  bool padded() const { return padded_; }   ///< else padding() is all zero
  bool moves() const { return (leave_.size() | resume_.size() | admit_.size()) != 0; }   ///< anybody goes or comes
  bool changes() const { return (leave_.size() | resume_.size() | admit_.size() | chunks_.size()) != 0; }
  bool empty() const { return !changes() && !decodes_; }

 private:
  const Admission* admission(CallId call) const;   ///< of this plan; null for calls that were admitted before
  Tokens held(CallId call) const;              ///< tokens the call has room for, bookings of this plan included
  Tokens prefill(CallId call, Tokens q, Tokens target, Tokens done, Tokens room);
  Tokens find_room_and_prefill(CallId call, Tokens q);
  void make_room();                            ///< for the group: members that must leave, then victims
  Blocks releasable(CallId call) const;
  Blocks watermark() const;
  bool admit(CallId call, Tokens target, Tokens chunk, PrefixMatch hit);
  bool take_run(Tokens tokens);                ///< contiguous: books one run of slots

  const StationView* station_ = nullptr;
  const Batcher* batcher_ = nullptr;
  Blocks available_, promised_, pending_;
  Tokens host_free_;                           ///< host memory not booked by this plan's swaps
  BuddyRuns runs_{};
  Blocks needed_;                              ///< by members that this plan keeps, for one more token each
  std::int32_t running_ = 0;
  Tokens decoding_;
  bool decodes_ = false;
  SmallVec<Departure> leave_;
  SmallVec<CallId> resume_;
  SmallVec<Admission> admit_;
  SmallVec<Chunk> chunks_;
  Padding padding_;
  bool padded_ = false;
};

}  // namespace orrery

#include "sim/plan_inline.hpp"  // IWYU pragma: export
