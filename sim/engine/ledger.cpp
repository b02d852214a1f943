#include "sim/engine/ledger.hpp"

#include <algorithm>

namespace orrery {

void PromptPaths::set(CallId id, const Request& request) {
  if (paths_.size() <= id.index) paths_.resize(id.index + 1);
  auto& path = paths_[id.index];
  path.assign(request.segments.begin(), request.segments.end());
  Tokens32 named;
  for (const Segment& s : path) named += s.tokens;
  const std::uint64_t unique = mix64(request.number + 0x517cc1b727220a95ull);
  if (named < request.prompt_tokens) path.push_back({unique, request.prompt_tokens - named});
  path.push_back({request.output_key ? request.output_key : mix64(unique), request.output_tokens});
}

KvLedger::KvLedger(const KvConfig& config, CallTable& calls, const PromptPaths& paths)
    : config_(config), calls_(&calls), paths_(&paths), block_(config.block_tokens), free_(config.total),
      watermark_(static_cast<std::int64_t>(config.watermark * static_cast<double>(config.total.value()))),
      host_free_(config.host_tokens) {
  if (config.contiguous) buddy_.emplace(config.total.value());
  if (config.prefix != PrefixKind::kNone) prefix_.emplace(config.block_tokens, config.host_prefix);
  copies_prefixes_ = prefix_ && config.host_prefix > Blocks{};
}

KvState KvLedger::state() const {
  return {.contiguous = config_.contiguous, .block_tokens = block_, .total = config_.total, .free = free_,
          .evictable = prefix_ ? prefix_->evictable() : Blocks{}, .promised = promised_, .watermark = watermark_,
          .host_free = host_free_, .runs = buddy_ ? &buddy_->runs() : nullptr};
}

bool KvLedger::never_fits(Tokens reserve, Tokens promise, Tokens lifetime) const {
  if (buddy_) return Buddy::order_for(std::max(reserve, lifetime).value()) > Buddy::order_for(buddy_->slots() / 2 + 1);
  return std::max(blocks_for(reserve) + watermark_, blocks_for(lifetime)) > config_.total ||
         blocks_for(promise) > config_.total;
}

PrefixMatch KvLedger::match(CallId id) const {
  const Tokens target = Tokens{calls_->call(id).prompt} + calls_->progress(id).emitted;
  const auto m = prefix_->match(paths_->path(id), target - 1_tok);
  return {m.tokens, m.evictable};
}

Blocks KvLedger::releasable(CallId id) const {
  const Progress& p = calls_->progress(id);
  const Lease& l = leases_[id.index];
  return blocks_for(std::max(context(id), Tokens{p.reserved})) - l.shared + prefix_->releasable(l.pin);
}

KvLedger::Lease& KvLedger::lease(CallId id) {
  if (leases_.size() <= id.index) leases_.resize(id.index + 1);
  return leases_[id.index];
}

Tokens KvLedger::context(CallId id) const {
  const Progress& p = calls_->progress(id);
  const bool decodes = p.stage == Stage::kDecode;
  return p.computed + (decodes ? Tokens{p.ran(groups_[static_cast<std::size_t>(p.lane)]->clock())} : Tokens{});
}

/// Reserved slots that the call will still fill.
Tokens KvLedger::future(CallId id, Tokens context, Tokens reserved) const {
  const Tokens last = Tokens{calls_->call(id).prompt} + calls_->secret(id).output - 1_tok;
  return std::max(std::min(last, reserved) - context, Tokens{});
}

/// Sees that so many blocks are free.
void KvLedger::make_free(Blocks blocks) {
  if (prefix_) {
    const Blocks more = prefix_->evict(blocks - free_);
    free_ += more;
    note_moves({});
  }
  if (blocks > free_) broken("a plan took " + std::to_string(blocks.value()) + " blocks, " +
                             std::to_string(free_.value()) + " are free");
}

void KvLedger::adopt(std::span<const BatchPlan::Admission> admissions) {
  if (!prefix_) return;
  const std::int64_t restored = prefix_->host().restored;
  for (const auto& a : admissions) {
    Lease& l = lease(a.call);
    l = {};
    if (a.cached == Tokens{}) continue;
    prefix_->pin(l.pin, paths_->path(a.call), a.cached);
    l.shared = block_.whole(a.cached);
    l.published = a.cached;
    note_moves(a.call);
  }
  take(Blocks{prefix_->host().restored - restored});
}

KvLedger::Copies KvLedger::take_copies() {
  const PrefixCache::HostUse& host = prefix_->host();
  const Copies copies{Blocks{host.restored - told_in_}, Blocks{host.offloaded - told_out_}};
  told_in_ = host.restored;
  told_out_ = host.offloaded;
  return copies;
}

void KvLedger::admit(const BatchPlan::Admission& a) {
  Progress& p = calls_->progress(a.call);
  p.computed = narrow<Tokens32>(a.cached);
  calls_->set_cached(a.call, p.computed);
  p.reserved = narrow<Tokens32>(a.reserve);
  if (a.promise > Tokens{}) {
    if (promises_.size() <= a.call.index) promises_.resize(a.call.index + 1);
    promises_[a.call.index] = a.promise;
    promised_ += blocks_for(a.promise);
  }
  future_ += future(a.call, a.cached, a.reserve);
  if (buddy_) {
    note(KvOp::kAlloc, a.call, a.reserve);
    Lease& l = lease(a.call);
    l.order = static_cast<std::int8_t>(Buddy::order_for(a.reserve.value()));
    l.run = static_cast<std::int32_t>(buddy_->alloc(l.order));
    if (l.run < 0) broken("a plan took a run of 2^" + std::to_string(l.order) + " slots, none is free");
    free_ -= Blocks{std::int64_t{1} << l.order};
    return;
  }
  Blocks need = blocks_for(a.reserve);
  if (prefix_) need -= leases_[a.call.index].shared;
  take(need);
  note(KvOp::kAlloc, a.call, a.reserve);
}

void KvLedger::enlarge(CallId id, Tokens upto) {
  Progress& p = calls_->progress(id);
  future_ += future(id, p.computed, upto) - future(id, p.computed, p.reserved);
  take(blocks_for(upto) - blocks_for(p.reserved));
  p.reserved = narrow<Tokens32>(upto);
  note(KvOp::kAlloc, id, upto);
}

void KvLedger::publish(CallId id, Tokens upto) {
  Lease& l = leases_[id.index];
  if (upto <= l.published) return;
  const Blocks taken = prefix_->publish(l.pin, paths_->path(id), l.published, upto);
  note_moves(id);
  l.published = upto;
  l.shared += taken;
  used_ -= taken.value() * config_.block_tokens;
}

void KvLedger::release(CallId id, Tokens context) {
  const Progress& p = calls_->progress(id);
  future_ -= future(id, context, p.reserved);
  end_promise(id);
  give_back(id, context, blocks_for(std::max(context, Tokens{p.reserved})));
}

void KvLedger::end_promise(CallId id) {
  if (id.index >= promises_.size() || promises_[id.index] == Tokens{}) return;
  promised_ -= blocks_for(promises_[id.index]);
  promises_[id.index] = Tokens{};
}

/// A lease of so many blocks ends with `context` tokens in it.
void KvLedger::give_back(CallId id, Tokens context, Blocks blocks) {
  if (buddy_) {
    Lease& l = lease(id);
    buddy_->free(l.run, l.order);
    free_ += Blocks{std::int64_t{1} << l.order};
    l = {};
  } else if (prefix_) {
    publish(id, context);
    Lease& l = leases_[id.index];
    used_ += l.shared.value() * config_.block_tokens;  // so that what follows takes off its private tokens
    free_ += blocks - l.shared;
    prefix_->unpin(l.pin);
    l = {};
  } else {
    free_ += blocks;
  }
  note(KvOp::kFree, id, context);
  used_ -= context;
  if (free_ > config_.total || used_ < Tokens{} || future_ < Tokens{}) broken("more KV given back than was taken");
}

void KvLedger::freeze(CallId id, Tokens context) {
  Progress& p = calls_->progress(id);
  future_ -= future(id, context, p.reserved);
  end_promise(id);
  free_ += blocks_for(std::max(context, Tokens{p.reserved})) - blocks_for(context);
  p.reserved = narrow<Tokens32>(context);
}

void KvLedger::let_go(CallId id, Tokens context) { give_back(id, context, blocks_for(context)); }

bool KvLedger::can_book(Tokens from, Tokens to) const {
  return blocks_for(to) - blocks_for(from) + watermark_ <= available();
}

void KvLedger::book(Tokens from, Tokens to) {
  take(blocks_for(to) - blocks_for(from));
  future_ += to - from;
}

void KvLedger::unbook(Tokens booked) {
  free_ += blocks_for(booked);
  future_ -= booked;
}

void KvLedger::land(CallId id, Tokens context, Tokens booked) {
  if (prefix_) lease(id) = {};
  calls_->progress(id).reserved = narrow<Tokens32>(booked);
  used_ += context;
  future_ += future(id, context, booked) - booked;
  note(KvOp::kAlloc, id, booked);
}

void KvLedger::book_host(Tokens t) {
  host_free_ -= t;
  if (host_free_ < Tokens{}) broken("host memory for swapped KV is overbooked");
}

void KvLedger::swap_out(CallId id, Tokens context) {
  book_host(context);
  swapped_out_ += context;
  note(KvOp::kSwapOut, id, context);
}

void KvLedger::drop_swapped(CallId id, Tokens context) {
  book_host(-context);
  note(KvOp::kDropSwapped, id, context);
}

void KvLedger::swap_in(CallId id, Tokens context) {
  const Progress& p = calls_->progress(id);
  Tokens room = std::max(context, Tokens{p.reserved});
  if (buddy_) room = std::max(room, context + 1_tok);
  used_ += context;
  swapped_in_ += context;
  future_ += future(id, context, p.reserved);
  if (buddy_) {
    Lease& l = lease(id);
    l.order = static_cast<std::int8_t>(Buddy::order_for(room.value()));
    l.run = static_cast<std::int32_t>(buddy_->alloc(l.order));
    if (l.run < 0) broken("no run of slots for a call that comes back");
    free_ -= Blocks{std::int64_t{1} << l.order};
  } else {
    if (prefix_) lease(id) = {};
    take(blocks_for(room));
  }
  note(KvOp::kSwapIn, id, room);
}

/// What the prefix cache has just done with blocks, in the call's tokens.
void KvLedger::note_moves(CallId id) {
  if (moves_.empty()) return;
  constexpr KvOp::Kind kinds[] = {KvOp::kAdopt, KvOp::kPublish, KvOp::kEvict};
  for (const PrefixCache::Move& m : moves_) {
    journal_.push_back({.kind = kinds[m.kind], .call = id, .tokens = config_.block_tokens * m.end,
                        .from = config_.block_tokens * m.begin, .node = m.node});
  }
  moves_.clear();
}

RunEnd::Station KvLedger::end() const {
  const Blocks cached = prefix_ ? prefix_->evictable() : Blocks{};
  RunEnd::Station s{.held = config_.total - free_ - cached, .free = free_, .cached = cached, .total = config_.total};
  s.block_tokens = config_.block_tokens;
  s.swapped_in = swapped_in_;
  s.swapped_out = swapped_out_;
  if (!copies_prefixes_) return s;
  const PrefixCache::HostUse& host = prefix_->host();
  s.host = {host.room,       prefix_->count_host(), host.peak,    host.offloaded,
            host.restored,   host.superseded,       host.dropped, Blocks{host.restored - told_in_},
            Blocks{host.offloaded - told_out_}};
  return s;
}

void KvLedger::broken(const std::string& what) const { throw EngineError("KV ledger: " + what); }

}  // namespace orrery
