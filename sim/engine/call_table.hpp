/// All calls of a run that are in the system: one table for the whole cluster, places reused. The part that policies
/// may see (CallRow) and the engine's own part stand in parallel arrays, so a view of the rows shows no secret.
/// 96 + 48 bytes a call in flight; memory is that of the largest number in flight.
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
  Time last_token{};              ///< emission that the next gap is counted from, while it is not its group's
  Tokens32 output;                ///< true output length
  Tokens32 first_cached;          ///< prefix hit at the first admission
  std::uint32_t generation = 0;   ///< of the slot
  std::uint32_t turn = 0;
  StationId station;              ///< where it was routed
  StationId first_station;        ///< that first ran it
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
    secrets_[id.index].turn = old.turn;
    secrets_[id.index].generation = old.generation + 1;
    return {id.index, old.generation + 1};
  }
  bool alive(CallId id) const { return secrets_[id.index].generation == id.generation; }

  Call& call(CallId id) { return rows_[id.index].call; }
  const Call& call(CallId id) const { return rows_[id.index].call; }
  Progress& progress(CallId id) { return rows_[id.index].progress; }
  const Progress& progress(CallId id) const { return rows_[id.index].progress; }
  CallSecret& secret(CallId id) { return secrets_[id.index]; }
  const CallSecret& secret(CallId id) const { return secrets_[id.index]; }

  std::span<const CallRow> rows() const { return view_; }
  std::size_t in_flight() const { return rows_.size() - free_.size(); }
  template <class F>
  void for_each_alive(F&& f) const {
    for (std::uint32_t i = 0; i < rows_.size(); ++i)
      if (rows_[i].progress.stage != Stage::kGone) f(CallId{i, secrets_[i].generation});
  }

 private:
  std::vector<CallRow> rows_;
  std::span<const CallRow> view_;   ///< of rows_; asked for at every plan
  std::vector<CallSecret> secrets_;
  std::vector<std::uint32_t> free_;
};

}  // namespace orrery
