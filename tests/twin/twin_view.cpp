// What policies see and are told.
#include <algorithm>

#include "tests/twin/twin_state.hpp"

namespace orrery::twin {

bool Twin::needs_block(CallId id) {
  if (config_.kv->contiguous() || is_full(id)) return false;
  const Tokens context = at(id).context;
  return context >= row(id).progress.reserved && context % block_tokens_ == Tokens{};
}

/// Has a member used up what it reserved? One that joined with no room left grows block by block, unless it is a run.
bool Twin::reached_reservation(CallId id) {
  const Tokens reserved = row(id).progress.reserved;
  return at(id).context >= reserved && (reserved > at(id).joined_context || config_.kv->contiguous());
}

/// It must leave, to come back with more.
bool Twin::is_full(CallId id) {
  return reached_reservation(id) && config_.kv->regrow(row(id).call, row(id).progress.reserved) > Tokens{};
}

StationView Twin::view(TwinStation& s, int l) {
  const Lane& lane = s.lanes[static_cast<std::size_t>(l)];
  StationView v;
  v.station = StationId{s.index};
  v.now = now_;
  v.lane = l;
  v.lanes = stages_;
  v.rows = rows_;
  v.keys = keys_;
  v.waiting = s.waiting;
  v.swapped = s.swapped;
  v.prefilling = lane.prefilling;
  v.held = lane.held;
  v.group.id = GroupId{l};
  v.group.clock = lane.clock;
  v.group.size = static_cast<std::int32_t>(lane.members.size());
  v.group.members = lane.members;
  full_.clear();
  for (CallId id : lane.members) {
    const TwinCall& c = at(id);
    v.group.context += c.context;
    v.group.remaining_max += Tokens{c.given.request.max_tokens} - c.emitted;
    if (needs_block(id)) v.group.needed += 1_blk;
    if (is_full(id)) full_.push_back(id);
    if (v.context(id) != c.context || v.emitted(id) != c.emitted) twin_error("a row is out of step with its call");
  }
  if (!lane.members.empty()) v.group.longest = lane.longest_at_zero + Tokens{lane.clock};
  sort_by_number(full_);
  v.full = full_;
  for (const Lane& other : s.lanes)
    v.running += static_cast<std::int32_t>(other.members.size() + other.prefilling.size() + other.held.size());
  v.steps_since_admission = lane.steps_since_admission;
  v.kv.contiguous = config_.kv->contiguous();
  v.kv.block_tokens = block_tokens_;
  v.kv.total = s.kv->total();
  v.kv.free = s.kv->free();
  v.kv.evictable = s.kv->evictable();
  for (const auto& c : calls_)
    if (c->station == s.index) v.kv.promised += v.kv.blocks_for(c->promise);
  v.kv.watermark = watermark(s);
  v.kv.host_free = s.host_free;
  runs_ = s.kv->runs();
  if (v.kv.contiguous) v.kv.runs = &runs_;
  v.kv_policy = config_.kv;
  v.order = s.order;
  if (config_.prefix != TwinPrefix::kNone) v.prefix = &s.cache;
  return v;
}

std::vector<StationLoad> Twin::loads() {
  std::vector<StationLoad> loads(stations_.size());
  for (const auto& c : calls_) {
    if (c->station < 0 || c->row.status != TwinStatus::kInFlight) continue;
    StationLoad& load = loads[static_cast<std::size_t>(c->station)];
    const CallRow& r = rows_[c->id.index];
    ++load.calls;
    load.waiting += r.progress.stage == Stage::kWaiting;
    if (c->row.first_token == kNever) load.prompt_tokens += r.call.prompt;
    load.tokens += r.call.prompt + r.call.predicted_high;
  }
  return loads;
}

void Twin::sort_by_number(std::vector<CallId>& ids) {
  std::sort(ids.begin(), ids.end(), [&](CallId a, CallId b) { return at(a).number() < at(b).number(); });
}

void Twin::event(TwinStation& s, CallEvent::Kind kind, CallId id) {
  const CallEvent e{kind, id, &row(id).call, now_, std::max(at(id).lane, 0)};
  if (s.batcher->wants_events()) s.batcher->on_event(e);
  if (s.order->wants_events()) s.order->on_event(e);
}

void Twin::note(TwinStation& s, const Lane& lane, TwinDecision::Kind kind, CallId id, Tokens tokens) {
  const int l = static_cast<int>(&lane - s.lanes.data());
  result_.decisions.push_back({kind, now_, s.index, l, lane.clock, id.valid() ? at(id).number() : 0, tokens.value()});
}

}  // namespace orrery::twin
