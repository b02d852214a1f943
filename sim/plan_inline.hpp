/// Bodies of what nearly every plan does, for policies to inline; included by plan.hpp. What is rare is in plan.cpp.
#pragma once

#include <algorithm>

namespace orrery {

inline void BatchPlan::reset(const StationView& station, const Batcher& batcher) {
  station_ = &station;
  batcher_ = &batcher;
  available_ = station.kv.available();
  promised_ = station.kv.promised;
  pending_ = Blocks{};
  host_free_ = station.kv.host_free;
  if (station.kv.runs) runs_ = *station.kv.runs;
  needed_ = station.group.needed;
  running_ = station.running;
  decoding_ = Tokens{};
  decodes_ = false;
  leave_.clear();
  resume_.clear();
  admit_.clear();
  chunks_.clear();
  if (padded_) pad({});
  repeat = Repeat::once();
}

inline bool BatchPlan::has_left(CallId call) const {
  return std::any_of(leave_.begin(), leave_.end(), [&](const Departure& d) { return d.call == call; });
}

inline Tokens BatchPlan::decode(const GroupView& group) {
  const StationView& s = *station_;
  if (needed_ > available_ || !s.full.empty()) make_room();
  if (needed_ > available_) return Tokens{};  // wait for the swap to end
  std::int32_t left = group.size + static_cast<std::int32_t>(resume_.size());
  for (const Departure& d : leave_) left -= s.decoding(d.call);
  if (left == 0) return Tokens{};
  available_ -= needed_;
  needed_ = Blocks{};
  decodes_ = true;
  decoding_ += Tokens{left};
  return Tokens{left};
}

inline const BatchPlan::Admission* BatchPlan::admission(CallId id) const {
  if (station_->progress(id).stage != Stage::kWaiting) return nullptr;
  const auto* found = std::find_if(admit_.begin(), admit_.end(), [&](const Admission& a) { return a.call == id; });
  return found == admit_.end() ? nullptr : found;
}

inline Tokens BatchPlan::held(CallId id) const {
  const Admission* a = admission(id);
  return a ? a->reserve : Tokens{station_->progress(id).reserved};
}

inline Tokens BatchPlan::remaining(CallId id) const {
  if (station_->progress(id).stage != Stage::kWaiting) return station_->remaining(id);
  const Admission* a = admission(id);
  return station_->target(id) - (a ? a->cached : Tokens{});
}

inline Tokens BatchPlan::prefill(CallId id, Tokens q) {
  const Tokens target = station_->target(id);
  if (const Admission* a = admission(id)) return prefill(id, q, target, a->cached, a->reserve);
  return prefill(id, q, target, target - remaining(id), station_->progress(id).reserved);
}

inline Tokens BatchPlan::continue_prefill(CallId id, Tokens q) {
  if (!leave_.empty() && has_left(id)) return Tokens{};
  const Progress& p = station_->progress(id);
  const Tokens target = station_->target(id);
  if (p.reserved < target || p.stage == Stage::kWaiting) return find_room_and_prefill(id, q);
  return prefill(id, q, target, p.computed, p.reserved);   // all its room was taken at admission
}

inline Tokens BatchPlan::prefill(CallId id, Tokens q, Tokens target, Tokens done, Tokens room) {
  q = std::min(q, target - done);
  if (q <= Tokens{}) return Tokens{};
  if (done + q > room) {  // on demand: take blocks for this chunk, as many as there are
    const KvState& kv = station_->kv;
    const Blocks have = kv.blocks_for(room);
    const Blocks more = std::min(kv.blocks_for(done + q) - have, std::max(available_, Blocks{}));
    q = std::min(q, kv.block_tokens * (have + more).value() - done);
    if (q <= Tokens{}) return Tokens{};
    available_ -= kv.blocks_for(done + q) - have;
  }
  chunks_.push_back({id, q});
  return q;
}

}  // namespace orrery
