/// All calls of a run that are in the system: one table for the whole cluster, places reused. The part that policies
/// may see (CallRow) and the engine's own part stand in parallel arrays, so a view of the rows shows no secret.
/// 80 + 32 bytes a call in flight; memory is that of the largest number in flight. What few runs need stands beside
/// them, in arrays that grow when it is first set: keys of queue orders, prefix hits, last tokens of preempted calls.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/request.hpp"

namespace orrery {

/// What only the engine knows of a call.
struct CallSecret {
  Time first_schedule = kNever, first_token = kNever;
  Tokens32 output;                ///< true output length
  std::uint32_t generation = 0;   ///< of the slot
  StationId station;              ///< where it was routed
  StationId first_station;        ///< that first ran it
};
static_assert(sizeof(CallSecret) == 32);

/// Prompt tokens found in the prefix cache.
struct CallHits {
  Tokens32 first, last;           ///< at the first admission, at the last one (0 since it lost its KV)
};

class CallTable {
 public:
  CallId add() {
    if (free_.empty()) {
      rows_.emplace_back();
      secrets_.emplace_back();
      view_ = rows_;
      return {static_cast<std::uint32_t>(rows_.size() - 1), 0};
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    const std::uint32_t generation = secrets_[index].generation;
    rows_[index] = {};
    secrets_[index] = {};
    secrets_[index].generation = generation;
    forget(index);
    return {index, generation};
  }
  void remove(CallId id) {
    rows_[id.index].progress.stage = Stage::kGone;
    ++secrets_[id.index].generation;
    free_.push_back(id.index);
  }
  /// The same call starts anew: another identity at the same place, so that all that still names the old one is dead.
  CallId renew(CallId id) {
    const CallSecret old = secrets_[id.index];
    rows_[id.index].progress = {};
    secrets_[id.index] = {};
    secrets_[id.index].output = old.output;
    secrets_[id.index].generation = old.generation + 1;
    forget(id.index);
    return {id.index, old.generation + 1};
  }
  bool alive(CallId id) const { return secrets_[id.index].generation == id.generation; }

  Call& call(CallId id) { return rows_[id.index].call; }
  const Call& call(CallId id) const { return rows_[id.index].call; }
  Progress& progress(CallId id) { return rows_[id.index].progress; }
  const Progress& progress(CallId id) const { return rows_[id.index].progress; }
  CallSecret& secret(CallId id) { return secrets_[id.index]; }
  const CallSecret& secret(CallId id) const { return secrets_[id.index]; }

  /// A queue order gives keys; before any call comes. Else the key is the arrival.
  void keep_keys() { keeps_keys_ = true; }
  void set_key(CallId id, std::int64_t key) {
    if (!keeps_keys_) return;
    if (keys_.size() <= id.index) keys_.resize(rows_.capacity());
    keys_[id.index] = key;
  }
  std::int64_t key(CallId id) const { return keeps_keys_ ? keys_[id.index] : to_ps(call(id).arrival); }
  std::span<const std::int64_t> keys() const { return keys_; }

  CallHits hits(CallId id) const { return id.index < hits_.size() ? hits_[id.index] : CallHits{}; }
  Tokens32 cached(CallId id) const { return hits(id).last; }
  void set_hits(CallId id, CallHits h) {
    if (id.index >= hits_.size()) {
      if (h.first == Tokens32{} && h.last == Tokens32{}) return;
      hits_.resize(id.index + std::size_t{1});
    }
    hits_[id.index] = h;
  }
  void set_cached(CallId id, Tokens32 tokens) { set_hits(id, {hits(id).first, tokens}); }

  /// Emission that the next gap is counted from, while it is not that of the call's group. Most often the first token.
  Time last_token(CallId id) const {
    const bool other = id.index < last_tokens_.size() && last_tokens_[id.index] != kNever;
    return other ? last_tokens_[id.index] : secrets_[id.index].first_token;
  }
  void set_last_token(CallId id, Time t) {
    const bool is_first = t == secrets_[id.index].first_token;
    if (id.index >= last_tokens_.size()) {
      if (is_first) return;
      last_tokens_.resize(id.index + std::size_t{1}, kNever);
    }
    last_tokens_[id.index] = is_first ? kNever : t;
  }

  std::span<const CallRow> rows() const { return view_; }
  std::size_t in_flight() const { return rows_.size() - free_.size(); }
  template <class F>
  void for_each_alive(F&& f) const {
    for (std::uint32_t i = 0; i < rows_.size(); ++i)
      if (rows_[i].progress.stage != Stage::kGone) f(CallId{i, secrets_[i].generation});
  }

 private:
  void forget(std::uint32_t index) {
    if (index < hits_.size()) hits_[index] = {};
    if (index < last_tokens_.size()) last_tokens_[index] = kNever;
  }

  std::vector<CallRow> rows_;
  std::span<const CallRow> view_;   ///< of rows_; asked for at every plan
  std::vector<CallSecret> secrets_;
  std::vector<std::uint32_t> free_;
  bool keeps_keys_ = false;
  std::vector<std::int64_t> keys_;
  std::vector<CallHits> hits_;
  std::vector<Time> last_tokens_;   ///< kNever: the first one
};

}  // namespace orrery
