#include "sim/plan.hpp"

#include <algorithm>
#include <bit>

namespace orrery {
namespace {

/// Does a member need another block for its next token? Not one that must leave because its reservation is used up.
bool needs_block(const StationView& s, CallId id) {
  if (s.kv.contiguous || std::find(s.full.begin(), s.full.end(), id) != s.full.end()) return false;
  const Tokens context = s.context(id);
  return context >= s.progress(id).reserved && s.kv.block_tokens.divides(context);
}

}  // namespace

CallId Batcher::victim(const StationView& s, const BatchPlan& plan) const {
  CallId worst;
  auto consider = [&](CallId id) {
    if (!plan.has_left(id) && (!worst.valid() || s.before(worst, id))) worst = id;
  };
  for (CallId id : s.group.members) consider(id);
  for (CallId id : s.prefilling) consider(id);
  return worst;
}

void QueueOrder::rank(const StationView& view, std::span<std::int64_t> keys) const {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const CallId id = view.waiting[i];
    keys[i] = key(id, view.call(id), view.progress(id), &view);
  }
}

void BatchPlan::make_room() {
  const StationView& s = *station_;
  for (CallId id : s.full)
    if (!has_left(id) && s.kv_policy->regrow(s.call(id), s.progress(id).reserved) > Tokens{})
      preempt(id, s.progress(id).reserved < s.kv.largest_lease() ? leaving(id) : Leave::kFail);
  while (needed_ > available_ + pending_) {
    const CallId victim = batcher_->victim(s, *this);
    if (!victim.valid()) break;
    preempt(victim);
  }
}

bool BatchPlan::admit(CallId id, Tokens chunk) {
  const StationView& s = *station_;
  const Tokens target = s.target(id);
  // In a pipeline each lane finds its victims alone, so calls of two lanes could throw each other out for ever. A call
  // that was preempted comes back with room for all that it must compute: then each stay yields a token.
  if (s.lanes > 1 && s.progress(id).preemptions > 0) chunk = Tokens::max();
  const PrefixMatch hit = s.prefix ? s.prefix->match(id) : PrefixMatch{};
  if (admit(id, target, chunk, hit)) return true;
  // A hit can keep more cached blocks from eviction than it saves; a call must not wait for ever because of that.
  return hit.evictable > s.kv.block_tokens.whole(hit.tokens) && admit(id, target, chunk, {});
}

bool BatchPlan::admit(CallId id, Tokens target, Tokens chunk, PrefixMatch hit) {
  const StationView& s = *station_;
  const Call& call = s.call(id);
  const Tokens first = hit.tokens + std::min(chunk, target - hit.tokens);
  const Tokens reserve =
      std::max({s.kv_policy->reserve(call, target, first), first, Tokens{s.progress(id).reserved}});
  const Tokens promise = s.kv_policy->promise(call, reserve);
  const Blocks promised = s.kv.blocks_for(promise);
  if (promised > Blocks{} && promised_ + promised > s.kv.total) return false;
  if (s.kv.contiguous) {
    if (!take_run(reserve)) return false;
  } else {
    const Blocks shared = s.kv.block_tokens.whole(hit.tokens);
    // What calls of this plan give back counts as available, also where the hit is on it: then it is kept after all.
    const Blocks kept = leave_.empty() ? hit.evictable : shared;
    const Blocks need = s.kv.blocks_for(reserve) - shared + kept;
    if (need + watermark() > available_) return false;
    available_ -= need;
  }
  promised_ += promised;
  admit_.push_back({id, hit.tokens, reserve, promise});
  ++running_;
  return true;
}

Tokens BatchPlan::find_room_and_prefill(CallId id, Tokens q) {
  const StationView& s = *station_;
  q = std::min(q, remaining(id));
  const Tokens upto = s.target(id) - remaining(id) + q;
  auto missing = [&] { return s.kv.blocks_for(upto) - s.kv.blocks_for(held(id)); };
  while (q > Tokens{} && upto > held(id) && missing() > available_ + pending_) {
    const CallId victim = batcher_->victim(s, *this);
    if (!victim.valid()) break;
    preempt(victim);
    if (victim == id) return Tokens{};
  }
  return prefill(id, q);
}

bool BatchPlan::resume(CallId id) {
  const StationView& s = *station_;
  const Tokens room = std::max(s.context(id) + 1_tok, Tokens{s.progress(id).reserved});
  if (s.kv.contiguous) {
    if (!take_run(room)) return false;
  } else {
    const Blocks need = s.kv.blocks_for(room);
    if (need + watermark() > available_) return false;
    available_ -= need;
  }
  resume_.push_back(id);
  ++running_;
  if (decodes_) ++decoding_;
  return true;
}

void BatchPlan::preempt(CallId id) {
  // Alone with all blocks, it can never get more. In a pipeline another lane may be swapping calls out, whose blocks
  // come.
  const bool all = station_->lanes == 1 || available_ + pending_ + releasable(id) >= station_->kv.total;
  preempt(id, running_ == 1 && all ? Leave::kFail : leaving(id));
}

Leave BatchPlan::leaving(CallId id) const {
  const Leave how = station_->kv_policy->preempt(station_->call(id));
  const bool fits = station_->decoding(id) && station_->context(id) <= host_free_;  // a prefill is never swapped
  return how != Leave::kSwap || fits ? how : Leave::kRecompute;
}

void BatchPlan::preempt(CallId id, Leave how) {
  const StationView& s = *station_;
  if (s.decoding(id)) {
    if (needs_block(s, id)) decodes_ ? available_ += 1_blk : needed_ -= 1_blk;
    if (decodes_) decoding_ -= 1_tok;
    decodes_ = decodes_ && decoding_ > Tokens{};
  }
  chunks_.erase_if([&](const Chunk& c) { return c.call == id; });
  (how == Leave::kSwap ? pending_ : available_) += releasable(id);
  if (how == Leave::kSwap) host_free_ -= s.context(id);
  leave_.push_back({id, how});
  --running_;
}

Blocks BatchPlan::releasable(CallId id) const {
  const StationView& s = *station_;
  if (s.kv.contiguous) return Blocks{};  // a run may be had again when the step has ended
  if (s.prefix) return s.prefix->releasable(id);
  return s.kv.blocks_for(std::max(s.context(id), Tokens{s.progress(id).reserved}));
}

/// With nothing running there is nobody to keep blocks free for, and a call whose KV once fitted fits again.
Blocks BatchPlan::watermark() const { return running_ > 0 ? station_->kv.watermark : Blocks{}; }

bool BatchPlan::take_run(Tokens tokens) {
  const auto slots = static_cast<std::uint64_t>(tokens.value());
  const auto order = static_cast<int>(std::bit_width(slots > 1 ? slots - 1 : 0));  // smallest 2^order >= slots
  int have = order;
  while (have < static_cast<int>(runs_.size()) && runs_[have] == 0) ++have;
  if (have == static_cast<int>(runs_.size())) return false;
  --runs_[have];
  while (have > order) ++runs_[--have];  // split: one half of each size is left over
  return true;
}

}  // namespace orrery
