/// All policy interfaces on one page, and the views that policies decide on.
///
///   Batcher          which calls run in the next iteration of a station
///   KvPolicy         how much KV memory a call holds, and what happens when there is none left
///   QueueOrder       who is served first (given to any batcher)
///   Router           which station an arriving call goes to
///   AdmissionPolicy  whether the service takes an arriving call at all
///   LengthPredictor  the only one that is shown the true output length
///
/// The same objects drive the simulator and the real engine. A policy is a pure function of the view and of its own
/// state; that state changes only in on_event and on_steps. A plan lists changes, never the members of a batch, so a
/// policy costs O(changes) an iteration.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>

#include "sim/base/rng.hpp"
#include "sim/base/units.hpp"
#include "sim/call.hpp"

namespace orrery {

class BatchPlan;

/// Why a call leaves its batch before it is done.
enum class Leave : std::uint8_t {
  kRecompute,   ///< KV dropped, prompt and emitted tokens are prefilled again later
  kSwap,        ///< KV goes to host memory during this step
  kRestart,     ///< KV and emitted tokens are thrown away; the call starts anew
  kFail,        ///< cannot be served at all
};

/// Calls that decode together, one token each an iteration.
struct GroupView {
  GroupId id;
  std::int64_t clock = 0;              ///< iterations the group has run
  std::int32_t size = 0;
  Tokens context;                      ///< sum over members of KV tokens held
  Tokens remaining_max;                ///< sum over members of max_tokens - emitted
  Tokens longest;                      ///< an upper bound of the longest member's KV tokens; exact while none left
  Blocks needed;                       ///< blocks the members need for one more token each
  std::span<const CallId> members;     ///< in no particular order
};

/// Free runs of slots of a contiguous KV pool: entry i counts runs of 2^i slots.
using BuddyRuns = std::array<std::int32_t, 40>;

/// Tokens of a KV block, and arithmetic with it: shifts where it is a power of two, which it nearly always is.
class BlockSize {
 public:
  constexpr BlockSize() = default;
  constexpr BlockSize(Tokens tokens)  // NOLINT: a number of tokens is a block size
      : tokens_(tokens), shift_(std::has_single_bit(static_cast<std::uint64_t>(tokens.value()))
                                    ? std::countr_zero(static_cast<std::uint64_t>(tokens.value())) : -1) {}
  constexpr std::int64_t value() const { return tokens_.value(); }
  constexpr operator Tokens() const { return tokens_; }  // NOLINT: reads as what it is
  friend constexpr Tokens operator*(BlockSize b, std::int64_t n) { return b.tokens_ * n; }
  /// Blocks that hold t tokens; t >= 0.
  constexpr Blocks blocks_for(Tokens t) const { return whole(t + tokens_ - Tokens{1}); }
  /// Blocks that t tokens fill.
  constexpr Blocks whole(Tokens t) const { return Blocks{shift_ >= 0 ? t.value() >> shift_ : t / tokens_}; }
  constexpr bool divides(Tokens t) const {
    return shift_ >= 0 ? (t.value() & (tokens_.value() - 1)) == 0 : t % tokens_ == Tokens{};
  }

 private:
  Tokens tokens_{16};
  int shift_ = 4;
};

/// Room for KV, in one value that a plan can copy and book against.
struct KvState {
  bool contiguous = false;             ///< each lease is one run of 2^i slots (buddy allocator); block_tokens is 1
  BlockSize block_tokens;
  Blocks total;                        ///< all blocks of the station
  Blocks free;                         ///< held by nobody
  Blocks evictable;                    ///< held by the prefix cache alone, can be had at once
  Blocks promised;                     ///< guaranteed to running calls, held or not
  Blocks watermark;                    ///< admissions leave this much free
  Tokens host_free;                    ///< room for swapped KV in host memory
  const BuddyRuns* runs = nullptr;     ///< contiguous only

  Blocks available() const { return free + evictable; }
  /// No lease can ever be larger: all blocks, or the longest run of 2^i slots.
  Tokens largest_lease() const {
    const auto all = static_cast<std::uint64_t>((block_tokens * total.value()).value());
    return Tokens{static_cast<std::int64_t>(contiguous ? std::bit_floor(all) : all)};
  }
  Blocks blocks_for(Tokens t) const { return block_tokens.blocks_for(t); }
};

/// What the prefix cache holds of a waiting call's prompt.
struct PrefixMatch {
  Tokens tokens;        ///< computed already; less than the prompt by at least one
  Blocks evictable;     ///< of these blocks, those that nobody else references now
};

/// The prefix cache as a policy may ask it. O(segments of the prompt).
class PrefixView {
 public:
  virtual ~PrefixView() = default;
  virtual PrefixMatch match(CallId) const = 0;
  /// Blocks that can be had at once if this call gives up its KV: those that nobody else references.
  virtual Blocks releasable(CallId) const = 0;
};

class KvPolicy;
class QueueOrder;

/// What a policy may know of the classes of /classes, by Call::request_class. Told once, before a run.
struct ServiceClass {
  double weight = 1;                 ///< share of the service, relative to the other classes
  Duration ttft{}, tpot{};           ///< timeline that a reader expects (Andes); tpot 0: the class states none
};

/// One station (replica) as its batcher sees it, for one pipeline lane. Everything is O(1) unless said otherwise.
struct StationView {
  StationId station;
  Time now{};
  int lane = 0, lanes = 1;
  std::span<const CallRow> rows;            ///< by CallId::index; use the accessors
  std::span<const std::int64_t> keys;       ///< of the queue order, by CallId::index; none: by arrival. See key()
  std::span<const CallId> waiting;          ///< in queue order; those preempted by recompute are among them
  std::span<const CallId> prefilling;       ///< admitted to this lane, prompt not done, in order of admission
  std::span<const CallId> swapped;          ///< KV in host memory, in queue order
  std::span<const CallId> full;             ///< members of the group that used up what they reserved, by number
  std::span<const CallId> held;             ///< finished, but kept until their batch ends (returns_whole_batch)
  GroupView group;                          ///< the decode group of this lane
  std::int32_t running = 0;                 ///< calls of all lanes that hold KV here
  std::int64_t steps_since_admission = 0;   ///< iterations of this lane since it last admitted
  KvState kv;
  const KvPolicy* kv_policy = nullptr;
  const QueueOrder* order = nullptr;        ///< null: first come, first served
  const PrefixView* prefix = nullptr;       ///< null: no prefix cache

  const Call& call(CallId id) const { return rows[id.index].call; }
  const Progress& progress(CallId id) const { return rows[id.index].progress; }
  bool decoding(CallId id) const { return progress(id).stage == Stage::kDecode; }
  /// Output tokens delivered so far. For members of this lane's group.
  Tokens emitted(CallId id) const {
    const Progress& p = progress(id);
    return p.emitted + (p.stage == Stage::kDecode ? Tokens{p.ran(group.clock)} : Tokens{});
  }
  /// Tokens whose KV exists.
  Tokens context(CallId id) const {
    const Progress& p = progress(id);
    return p.computed + (p.stage == Stage::kDecode ? Tokens{p.ran(group.clock)} : Tokens{});
  }
  /// Tokens that must be computed before the next output token: the prompt and, after a recompute, what was emitted.
  Tokens target(CallId id) const { return call(id).prompt + progress(id).emitted; }
  /// Prompt tokens still to compute. For a waiting call: before any prefix hit.
  Tokens remaining(CallId id) const { return target(id) - progress(id).computed; }
  Tokens cached_prefix(CallId id) const { return prefix ? prefix->match(id).tokens : Tokens{}; }
  /// Progress as of now: with the tokens since the call joined its group.
  Progress present(CallId id) const {
    Progress p = progress(id);
    p.emitted = narrow<Tokens32>(emitted(id));
    p.computed = narrow<Tokens32>(context(id));
    return p;
  }
  /// Place in the queue order: as of when the call entered a queue; of one that decodes as of now, where the order
  /// preempts.
  std::int64_t key(CallId id) const;
  /// Is `a` served before `b`?
  bool before(CallId a, CallId b) const {
    const auto ka = key(a), kb = key(b);
    return ka != kb ? ka < kb : call(a).number < call(b).number;
  }
};

/// Something happened to a call at a station. `lane` is where; times are boundaries of iterations.
struct CallEvent {
  /// kMovedOut and kMovedIn: its KV goes to another station, has come from one.
  enum Kind : std::uint8_t {
    kArrived, kAdmitted, kFirstToken, kPreempted, kResumed, kFinished, kMovedOut, kMovedIn
  } kind;
  CallId id;
  const Call* call;
  Time now;
  int lane;
};

class Batcher {
 public:
  virtual ~Batcher() = default;
  /// Fills `plan` (plan.hpp) with what runs next. Const: no state may change here.
  virtual void plan(const StationView&, BatchPlan&) const = 0;
  /// Who gives way when KV runs out; among members of the group and prefilling calls that `plan` still holds.
  /// Default: the last in queue order (for FCFS, the latest arrival). O(running).
  virtual CallId victim(const StationView&, const BatchPlan&) const;
  /// Are responses returned only when the whole batch is done (request-level batching)? Their KV is kept until then.
  virtual bool returns_whole_batch() const { return false; }
  virtual void on_start(std::span<const ServiceClass>) {}   ///< classes by number; none: all are alike
  virtual bool wants_events() const { return false; }   ///< else the two below are not called
  virtual void on_event(const CallEvent&) {}
  virtual void on_steps(std::int64_t /*iterations*/, const GroupView&) {}
  /// Are long prompts computed over several iterations? What /engine/chunked_prefill is compared with where a batcher
  /// has no parameter of that name.
  virtual bool cuts_prompts() const { return false; }
};

/// How much KV a call holds. One ledger serves all (engine/ledger.hpp); this says the amounts.
class KvPolicy {
 public:
  virtual ~KvPolicy() = default;
  virtual bool contiguous() const { return false; }      ///< one run of slots a call, rounded up to 2^i (buddy)
  virtual Tokens block_tokens() const { return Tokens{}; }  ///< 0: as the engine is configured
  virtual double watermark() const { return 0; }         ///< fraction of all blocks that admissions leave free
  /// Tokens to hold from admission on, when `target` tokens must be prefilled and the first chunk has `chunk`.
  virtual Tokens reserve(const Call&, Tokens target, Tokens chunk) const = 0;
  /// Tokens the call is guaranteed to get at least; admission counts them as taken. Default: what it holds.
  virtual Tokens promise(const Call&, Tokens reserved) const { (void)reserved; return Tokens{}; }
  /// A lease that `reserved` is full. A larger reservation to come back with, after leaving by `preempt()`;
  /// 0: it grows where it is, block by block. Cut to KvState::largest_lease().
  virtual Tokens regrow(const Call&, Tokens /*reserved*/) const { return Tokens{}; }
  virtual Leave preempt(const Call&) const { return Leave::kRecompute; }
};

/// Queue order as a key: smaller first, ties by arrival. Asked when a call enters a queue, at every plan if dynamic.
/// One that wants events keeps a state of its own, and there is one of it a station; the events are a batcher's.
class QueueOrder {
 public:
  virtual ~QueueOrder() = default;
  /// `view` is null where no station is known; `id` names the call in it.
  virtual std::int64_t key(CallId id, const Call&, const Progress&, const StationView* view) const = 0;
  /// Do keys depend on the state of the cache or on time? O(waiting) a plan.
  virtual bool dynamic() const { return false; }
  /// Does a call that decodes give its place to one that comes before it by now and finds none? How it leaves, the
  /// KvPolicy says. Batchers see to it in decode_all (policies/batching/steps.hpp); O(running) a plan.
  virtual bool preempts() const { return false; }
  /// Output tokens during which the key does not rise; asked only if the order preempts.
  virtual Tokens steady(const Call&, const Progress&) const { return Tokens::max(); }
  /// Dynamic orders: new keys of all that wait, in the order of view.waiting. Default: key() of each.
  virtual void rank(const StationView& view, std::span<std::int64_t> keys) const;
  virtual void on_start(std::span<const ServiceClass>) {}   ///< as Batcher's, and the three below too
  virtual bool wants_events() const { return false; }
  virtual void on_event(const CallEvent&) {}
  virtual void on_steps(std::int64_t /*iterations*/, const GroupView&) {}
};

inline std::int64_t StationView::key(CallId id) const {
  const bool moves = order != nullptr && order->preempts() && decoding(id);
  if (moves) return order->key(id, call(id), present(id), this);
  return keys.empty() ? to_ps(call(id).arrival) : keys[id.index];
}

struct Prediction {
  Tokens32 low, high;   ///< output tokens, inclusive
  Duration cost{};      ///< the call waits this long for it
};

class LengthPredictor {
 public:
  virtual ~LengthPredictor() = default;
  virtual Prediction predict(const Call&, Tokens32 true_output, Rng) const = 0;
  virtual bool oracle() const { return false; }   ///< knows the truth; named in the result
  virtual bool random() const { return true; }    ///< draws from its Rng: replications vary it, intervals name it
};

/// Counters of one station that change only at events (KV in use is none: it grows within a fast-forwarded run). As of
/// the last snapshot if the router's views are stale.
struct StationLoad {
  std::int32_t calls = 0;          ///< routed there and not finished
  std::int32_t waiting = 0;        ///< of these, not admitted yet
  Tokens prompt_tokens;            ///< of calls whose prompt is not computed yet, their prompt tokens
  Tokens tokens;                   ///< prompt tokens plus predicted output tokens (at most) of unfinished calls
};

struct ClusterView {
  Time now{};
  std::span<const StationLoad> stations;            ///< by StationId::index
  std::span<const PrefixView* const> prefixes;      ///< null entries: no prefix cache; O(segments) a question
  std::uint64_t routed = 0;                         ///< calls routed before this one
};

class Router {
 public:
  virtual ~Router() = default;
  /// `id` is the arriving call in the tables of every station's PrefixView.
  virtual StationId route(const Call&, CallId id, const ClusterView&, Rng) = 0;
  virtual bool random() const { return true; }                ///< draws from its Rng: replications vary it
  virtual Duration staleness() const { return Duration{}; }   ///< zero: live counters
};

/// Whether the service takes a call; one that it refuses is rejected at once (HTTP 429), and its client may try again.
/// One object for the cluster, asked when a call has been routed and before it enters the queue. May keep a state.
class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  virtual bool admits(const Call&, const StationLoad& there, Time now) = 0;
};

}  // namespace orrery
