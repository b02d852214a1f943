// (a) A step ends: tokens, chunks, calls that are done.
#include <algorithm>

#include "tests/twin/twin_state.hpp"

namespace orrery::twin {

void Twin::boundary(TwinStation& s, Lane& lane) {
  const Step step = *lane.step;
  lane.step.reset();
  lane.ready = true;
  s.changed = true;
  for (CallId id : step.swapped_out) {
    TwinCall& c = at(id);
    s.kv->publish(c.lease, c.given, c.context);
    s.kv->release(c.lease, c.given);
    c.promise = Tokens{};
    regrow(c);
    enter(s, s.swapped, id);
  }
  s.host_free += step.resumed;
  if (step.decodes) {
    ++lane.clock;
    std::vector<CallId> members = lane.members;
    sort_by_number(members);
    for (CallId id : members) {
      ++at(id).context;
      token(s, id);
    }
    const GroupView group = view(s, static_cast<int>(&lane - s.lanes.data())).group;
    if (s.batcher->wants_events()) s.batcher->on_steps(1, group);
    if (s.order->wants_events()) s.order->on_steps(1, group);
    for (CallId id : members)
      if (at(id).emitted == at(id).output()) {
        drop_from(lane, id);
        finished(s, lane, id);
      } else if (reached_reservation(id) && !is_full(id)) {
        Progress& p = row(id).progress;   // goes on block by block: what policies see of it is as of now
        p.computed = narrow<Tokens32>(at(id).context);
        p.emitted = narrow<Tokens32>(at(id).emitted);
        p.joined = static_cast<std::uint32_t>(lane.clock);
        at(id).joined_context = at(id).context;
      }
  }
  for (const BatchPlan::Chunk& chunk : step.chunks) chunk_done(s, lane, chunk);
  ++lane.steps_since_admission;
  for (const auto& [id, why] : lane.given_up)
    if (at(id).row.status == TwinStatus::kInFlight) drop(s, at(id), why);
  lane.given_up.clear();
  release_held(s, lane);
}

/// A request-level batch is done when nothing of it runs any more: then all its answers leave.
void Twin::release_held(TwinStation& s, Lane& lane) {
  if (!lane.members.empty() || !lane.prefilling.empty()) return;
  sort_by_number(lane.held);
  for (CallId id : lane.held) gone(s, id, TwinStatus::kDone);
  lane.held.clear();
}

void Twin::chunk_done(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk) {
  TwinCall& c = at(chunk.call);
  c.context += chunk.q;
  Progress& p = row(chunk.call).progress;
  p.computed = narrow<Tokens32>(c.context);
  const bool complete = c.context == Tokens{c.given.request.prompt_tokens} + c.emitted;
  if (config_.prefix == TwinPrefix::kHash || complete) s.kv->publish(c.lease, c.given, c.context);
  if (!complete) return;
  std::erase(lane.prefilling, chunk.call);
  token(s, chunk.call);
  p.emitted = narrow<Tokens32>(c.emitted);
  if (c.emitted == c.output()) finished(s, lane, chunk.call);
  else join(lane, chunk.call);
}

void Twin::token(TwinStation& s, CallId id) {
  TwinCall& c = at(id);
  ++c.emitted;
  if (c.emitted > 1_tok) {
    result_.sums.gaps += to_ps(now_ - c.last_token);
    ++result_.sums.gap_count;
  }
  c.last_token = now_;
  c.tokens.push_back(now_);
  const Request& r = c.given.request;
  result_.service[{to_ps(now_) / to_ps(Duration{10s}), r.tenant}] +=
      2 + (c.emitted == 1_tok ? r.prompt_tokens.value() : 0);
  if (c.emitted != 1_tok) return;
  c.row.first_token = now_;
  event(s, CallEvent::kFirstToken, id);
}

void Twin::join(Lane& lane, CallId id) {
  TwinCall& c = at(id);
  Progress& p = row(id).progress;
  p.stage = Stage::kDecode;
  p.joined = static_cast<std::uint32_t>(lane.clock);
  p.computed = narrow<Tokens32>(c.context);
  p.emitted = narrow<Tokens32>(c.emitted);
  c.joined_context = c.context;
  const Tokens at_zero = c.context - Tokens{lane.clock};
  lane.longest_at_zero = lane.members.empty() ? at_zero : std::max(lane.longest_at_zero, at_zero);
  lane.members.push_back(id);
}

/// Out of the group: what policies see of it is now as of this instant.
void Twin::drop_from(Lane& lane, CallId id) {
  if (!std::erase(lane.members, id)) return;
  Progress& p = row(id).progress;
  p.computed = narrow<Tokens32>(at(id).context);
  p.emitted = narrow<Tokens32>(at(id).emitted);
}

void Twin::finished(TwinStation& s, Lane& lane, CallId id) {
  if (!s.batcher->returns_whole_batch()) return gone(s, id, TwinStatus::kDone);
  row(id).progress.stage = Stage::kHeld;
  lane.held.push_back(id);
}

void Twin::gone(TwinStation& s, CallId id, TwinStatus status, bool for_good) {
  TwinCall& c = at(id);
  s.kv->publish(c.lease, c.given, c.context);
  s.kv->release(c.lease, c.given);
  s.kv->remove(c.lease);
  c.promise = Tokens{};
  row(id).progress.stage = Stage::kGone;
  c.row.finish = now_;
  c.row.status = status;
  c.row.output = c.emitted.value();
  if (status == TwinStatus::kDone) {
    result_.sums.delivered += (c.context - c.cached).value();
  }
  if (status != TwinStatus::kRejected) event(s, CallEvent::kFinished, id);
  unserved(c, status, for_good);
}

}  // namespace orrery::twin
