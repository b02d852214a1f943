/// The KV ledger of one station: the only owner of KV memory. It keeps counts; where a block lies is the business of a
/// real engine, which is told by the journal.
///
///   total = held by calls (and by cached prefixes that calls use) + cached by nobody's use + free
///
/// Without a prefix cache a lease is arithmetic on the call's progress and costs no storage: blocks_for(max(context,
/// reserved)). With one, a lease is the pinned path of shared blocks plus private ones; blocks that a call computed are
/// published to the cache and counted once. All operations are O(1), O(segments) with a prefix cache, O(log slots) when
/// contiguous. Broken bookkeeping throws EngineError.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/engine/buddy.hpp"
#include "sim/engine/call_table.hpp"
#include "sim/engine/decode_group.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/prefix_cache.hpp"
#include "sim/metrics/recorder.hpp"
#include "sim/plan.hpp"
#include "sim/policy.hpp"

namespace orrery {

/// An invariant of the engine does not hold; the run stops and says where.
struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class PrefixKind : std::uint8_t {
  kNone,
  kHash,    ///< full blocks are shared as soon as they are computed (vLLM v1)
  kRadix,   ///< a prompt is shared when it is complete, its output when it ends (SGLang)
};

struct KvConfig {
  Blocks total{};
  Tokens block_tokens{16};
  double watermark = 0;              ///< fraction of all blocks that admissions leave free
  bool contiguous = false;           ///< one run of 2^i slots a call; block_tokens is then 1
  Tokens host_tokens{};              ///< room in host memory for swapped KV
  PrefixKind prefix = PrefixKind::kNone;
  Blocks host_prefix{};              ///< room in host memory for cached prefixes that the device evicts
};

/// Paths of the prompts in flight, by slot: segments, the unique tail, the output. Kept only with a prefix cache or
/// for a real executor.
class PromptPaths {
 public:
  void set(CallId id, const Request& request);
  std::span<const Segment> path(CallId id) const { return paths_[id.index]; }

 private:
  std::vector<std::vector<Segment>> paths_;
};

class KvLedger final : public PrefixView {
 public:
  KvLedger(const KvConfig& config, CallTable& calls, const PromptPaths& paths);

  /// The decode groups of the station's lanes: where the context of a decoding call is known.
  void attach(std::vector<const DecodeGroup*> groups) { groups_ = std::move(groups); }
  const KvConfig& config() const { return config_; }
  KvState state() const;
  void refresh(KvState& s) const {           ///< what of it changes
    s.free = free_;
    s.evictable = prefix_ ? prefix_->evictable() : Blocks{};
    s.promised = promised_;
    s.host_free = host_free_;
  }
  /// Blocks that can be had: free or evictable.
  Blocks available() const { return prefix_ ? free_ + prefix_->evictable() : free_; }
  /// Blocks that can be had without a copy to host memory.
  Blocks available_without_copy() const { return copies_prefixes_ ? free_ : available(); }
  Blocks blocks_for(Tokens t) const { return block_.blocks_for(t); }
  bool never_fits(Tokens reserve, Tokens promise, Tokens lifetime) const;

  PrefixMatch match(CallId id) const override;
  Blocks releasable(CallId id) const override;

  /// Pins the prefix hits of all admissions of a plan: before anything is evicted for any of them.
  void adopt(std::span<const BatchPlan::Admission> admissions);
  void admit(const BatchPlan::Admission& a);                ///< sets computed, cached and reserved
  void extend(CallId id, Tokens upto) {                     ///< room for `upto` tokens, if it has less
    if (upto > calls_->progress(id).reserved) enlarge(id, upto);
  }
  /// A chunk of q tokens has ended, in slots that extend() reserved: publishes what it completed, up to `upto`.
  void computed(CallId id, Tokens q, Tokens upto, bool prompt_done) {
    used_ += q;
    future_ -= q;
    if (prefix_ && (config_.prefix == PrefixKind::kHash || prompt_done)) publish(id, upto);
  }
  void take(Blocks blocks) {                                ///< for the decode group; evicts what it must
    if (blocks > free_) make_free(blocks);
    free_ -= blocks;
  }
  void fill(Tokens used, Tokens reserved) {  ///< the decode group computed tokens, so many in reserved slots
    used_ += used;
    future_ -= reserved;
  }
  /// The call gives up its KV of `context` tokens: done, dropped or swapped out. What is full stays in the cache.
  void release(CallId id, Tokens context);
  void swap_out(CallId id, Tokens context);                 ///< books host memory; its blocks go with release()
  void end_swap_in(Tokens context) { book_host(-context); } ///< the step that brought it back has ended
  /// Blocks of cached prefixes that came from and went to host memory since the last time it was asked.
  struct Copies { Blocks in, out; };
  Copies take_copies();
  bool copies_prefixes() const { return copies_prefixes_; }
  void drop_swapped(CallId id, Tokens context);
  void swap_in(CallId id, Tokens context);

  // KV that goes to another station or comes from one (station_move.cpp). Paged only.
  /// Nothing more will be computed into this lease: room beyond its context is given back, the rest stays.
  void freeze(CallId id, Tokens context);
  /// A frozen lease has been copied: its blocks are given back; what is full stays in the prefix cache.
  void let_go(CallId id, Tokens context);
  bool can_book(Tokens from, Tokens to) const;              ///< available beyond the watermark
  /// Room for KV that is to come, `from` tokens of it booked before.
  void book(Tokens from, Tokens to);
  void unbook(Tokens booked);
  /// The KV has come into the `booked` room; sets reserved.
  void land(CallId id, Tokens context, Tokens booked);

  KvUse use() const {
    KvUse u{.held = config_.total - free_, .used = used_, .reserved = future_, .external = Blocks{}};
    if (prefix_) {
      u.held -= prefix_->evictable();
      u.used += (prefix_->held() - prefix_->evictable()).value() * config_.block_tokens;
    }
    return u;
  }
  RunEnd::Station end() const;

  void keep_journal(bool on) {
    journaling_ = on;
    if (prefix_) prefix_->tell(on ? &moves_ : nullptr);
  }
  std::span<const KvOp> journal() const { return journal_; }
  void clear_journal() { journal_.clear(); }

 private:
  struct Lease {
    PrefixCache::Pin pin;
    Blocks shared;          ///< of its blocks, owned by the cache
    Tokens published;       ///< of its tokens, offered to the cache
    std::int32_t run = -1;  ///< contiguous: address of its run
    std::int8_t order = -1;
  };

  Lease& lease(CallId id);
  Tokens context(CallId id) const;
  Tokens future(CallId id, Tokens context, Tokens reserved) const;
  void book_host(Tokens t);
  void enlarge(CallId id, Tokens upto);
  void make_free(Blocks blocks);
  void end_promise(CallId id);
  void give_back(CallId id, Tokens context, Blocks blocks);
  void publish(CallId id, Tokens upto);
  void note(KvOp::Kind kind, CallId id, Tokens tokens) {
    if (journaling_) journal_.push_back({.kind = kind, .call = id, .tokens = tokens});
  }
  void note_moves(CallId id);
  [[noreturn]] void broken(const std::string& what) const;

  KvConfig config_;
  CallTable* calls_;
  const PromptPaths* paths_;
  std::vector<const DecodeGroup*> groups_;
  BlockSize block_;
  Blocks free_, watermark_, promised_;
  Tokens host_free_;
  Tokens used_;             ///< tokens of calls whose KV exists, shared blocks left out
  Tokens future_;           ///< reserved slots that the calls will still fill
  std::vector<Lease> leases_;
  std::vector<Tokens> promises_;
  std::optional<Buddy> buddy_;
  std::optional<PrefixCache> prefix_;
  bool copies_prefixes_ = false;
  Tokens swapped_in_, swapped_out_;   ///< all that ever was
  std::int64_t told_in_ = 0, told_out_ = 0;   ///< blocks that take_copies() has told of
  bool journaling_ = false;
  std::vector<KvOp> journal_;
  std::vector<PrefixCache::Move> moves_;
};

}  // namespace orrery
