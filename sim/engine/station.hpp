/// A station is one replica: a queue of calls, a KV ledger, and one lane for each pipeline stage. A lane runs one step
/// at a time: it asks the batcher for a plan, carries it out, and delivers tokens when the step ends. A step of pure
/// decoding that the plan allows to repeat is run k iterations at once (fast-forward), with the same result as k steps.
///
/// Within an instant the simulation calls end_steps, then enqueue, then plan (docs/INVARIANTS.md). Costs: O(changes) a
/// step plus one plan and one price; nothing is proportional to the size of the batch but preemption.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/small_vec.hpp"
#include "sim/base/units.hpp"
#include "sim/cost.hpp"
#include "sim/engine/call_queue.hpp"
#include "sim/engine/call_table.hpp"
#include "sim/engine/charges.hpp"
#include "sim/engine/decode_group.hpp"
#include "sim/engine/executor.hpp"
#include "sim/engine/fingerprint.hpp"
#include "sim/engine/ledger.hpp"
#include "sim/engine/scaled_cost.hpp"
#include "sim/metrics/observer.hpp"
#include "sim/metrics/recorder.hpp"
#include "sim/plan.hpp"
#include "sim/policy.hpp"

namespace orrery {

/// What a station is made of. Nothing is owned; policies may be shared by stations only if they keep no state.
struct StationParts {
  Batcher* batcher = nullptr;
  const KvPolicy* kv_policy = nullptr;
  QueueOrder* order = nullptr;           ///< null: FCFS
  Executor* executor = nullptr;
  const CostModel* cost = nullptr;       ///< stages, hops, and the price of stages after the first; null: one stage
  KvConfig kv;
  Bytes kv_bytes_per_token;              ///< for swap transfers
};

/// Told when a call leaves its station for good, before its slot is reused.
class LeaveListener {
 public:
  virtual ~LeaveListener() = default;
  virtual void left(CallId id, const Row& row, Time now) = 0;
};

/// What the client of a call remembers of earlier attempts.
struct ClientJob {
  Time asked{};                          ///< arrival of the first
  Time gives_up = kNever;                ///< whatever comes of it
  int attempts = 1;
};

/// Told of every step that has ended, where power is watched.
class StepListener {
 public:
  virtual ~StepListener() = default;
  virtual void on_step(StationId, const StepRun& run, std::int64_t k) = 0;   ///< stage 0 of a pipeline
};

/// Takes calls over from stations, in runs where they go from one to another (cluster.hpp).
class CallMover {
 public:
  virtual ~CallMover() = default;
  /// The prompt of a call is done, its first token is out and more are to come. True: it decodes elsewhere; its KV
  /// stays until Station::let_go. The step began at `began`.
  virtual bool takes_over(CallId id, StationId at, Time began, Time now) = 0;
  /// Shall a call that Station::detach was asked for still leave?
  virtual bool wants(CallId id) const = 0;
  /// A call left its batch as Station::detach asked; its KV stays until Station::let_go.
  virtual void detached(CallId id, StationId at, Time now) = 0;
  /// It did not: it was preempted before the boundary.
  virtual void stayed(CallId id) = 0;
  /// For the row of a call that leaves.
  virtual void complete(Row& row, CallId id) const = 0;
  /// Is somebody asked about this station after each of its iterations? Then none are run at once.
  virtual bool steps(StationId) const = 0;
};

/// What the stations of a run share.
struct RunContext {
  CallTable calls;
  PromptPaths paths;
  Recorder* recorder = nullptr;
  DecisionSink* decisions = nullptr;     ///< null: only hashed
  LeaveListener* leaver = nullptr;
  CallMover* mover = nullptr;            ///< null: no call goes from one station to another
  StepListener* steps = nullptr;         ///< null: nobody wants to know
  Charges* charges = nullptr;            ///< null: requests are not charged
  bool metered = false;                  ///< readings between the ends of steps are wanted (under_way), or charges
  bool watched = false;                  ///< somebody is told of every step: observers, `steps`, `charges`
  bool fast_forward = true;
  bool verify_fast_forward = false;      ///< asks the policy at every skipped iteration; EngineError if it differs
  Time now{};
  bool came_back = false;                ///< the present instant has been planned once already
  std::uint64_t rows_hash = 0;
  std::vector<Observer*> observers;
  std::vector<ClientJob> jobs;           ///< by slot; empty: no client tries again
  struct SetBack {
    std::uint32_t generation = 0;
    Duration time{};
  };
  std::vector<SetBack> set_backs;        ///< by slot, as far as any call needs; see set_back()

  /// When the client first asked: the arrival of the call, but for a later attempt.
  Time asked(CallId id) const { return jobs.empty() ? calls.call(id).arrival : jobs[id.index].asked; }
  std::uint16_t retries(CallId id) const {
    return static_cast<std::uint16_t>(jobs.empty() ? 0 : jobs[id.index].attempts - 1);
  }
  /// From the first schedule to the last one before the first token: of a call that lost its place in between.
  Duration set_back(CallId id) const {
    if (id.index >= set_backs.size() || set_backs[id.index].generation != id.generation) return Duration{};
    return set_backs[id.index].time;
  }
  void note_set_back(CallId id, Duration time) {
    if (id.index >= set_backs.size()) set_backs.resize(id.index + std::size_t{1});
    set_backs[id.index] = {id.generation, time};
  }
  void row(const Row& row) {
    rows_hash = fold(rows_hash, row);
    recorder->on_row(row);
  }
};

class Station final : private PrefixView {
 public:
  Station(StationId id, const StationParts& parts, RunContext& run, StationLoad& load);
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;

  /// Would this call fit an empty station, with what it has emitted elsewhere?
  bool accepts(CallId id) const;
  void enqueue(CallId id, Time now);
  /// The client gives up (`why`: cancelled or timed out). A call of a lane that runs a step leaves when that ends (if
  /// it has several iterations: at the first boundary that is not before `now`), unless it is done by then; any other
  /// leaves at once.
  void cancel(CallId id, Status why, Time now);
  void end_steps(Time now);
  /// Steps end and others start, where nothing else happens in between: end_steps(now), then plan(now).
  Time go_on(Time now);
  /// Starts what can start. The next instant at which this station has something to do; kNever if it waits for calls.
  Time plan(Time now);

  // Calls that come from other stations and go to them (station_move.cpp).
  /// Takes a waiting call out of the queue.
  void withdraw(CallId id, Time now);
  /// A decoding call leaves its batch with its KV, at the next boundary; the mover is told whether it did. One that has
  /// ended by then is told of as any that ends.
  void detach(CallId id, Time now);
  /// The KV of a call that was taken over or detached has left, or is not wanted any more.
  void let_go(CallId id, Tokens context, Time now);
  /// Such a call decodes here after all.
  void readopt(CallId id, Time now);
  /// Room for the KV of a call that is to come, `from` tokens booked before. False, and nothing booked, if it is short.
  bool book(Tokens from, Tokens to, Time now);
  void unbook(Tokens booked, Time now);
  /// Iterations that run at once end with the one under way.
  void pause_at_boundary(Time now);
  /// What a call with that much KV books.
  Tokens booking(CallId id, Tokens context) const;
  /// Its KV has come, into booked room; it decodes from the next plan on.
  void land(CallId id, Tokens context, Tokens booked, Time now);
  bool idle() const;                     ///< no call, no step
  /// An idle station computes the KV of `tokens` of a call that is to come, after the `context` that it has of it,
  /// and runs nothing else until resume(). Returns how long that takes.
  Duration compute_for(Tokens context, Tokens tokens, Time now);
  /// It has, since `began`, for this call; if not `done`, what it did is lost.
  void computed_for(CallId id, Tokens tokens, Time began, bool done, Time now);
  void resume(Time now);
  /// Stops at once: steps under way are lost but for iterations that have ended. Appends the calls that were here, by
  /// number, with no KV and in no queue; those that were taken over or detached are not among them.
  void kill(Time now, std::vector<CallId>& lost);
  /// A call waits here although nothing serves it: it counts as load, and in the time spent waiting, no more.
  void strand(CallId id, Time now);
  void unstrand(CallId id, Time now);
  /// Prices from the next boundary on; both outlive the run. Same number of stages.
  void set_cost(Executor* executor, const CostModel* cost, Time now);
  void slow_down(std::int64_t per_mille, Time now);   ///< of its usual cost model's time
  void set_clock(Executor* executor, const CostModel* cost, Time now);   ///< as set_cost, the slow-down kept
  /// Energy (nJ) and busy time (ps) of steps under way until `now`, beyond what the recorder was told; less than
  /// nothing where it was told of stages that lie ahead.
  struct Spent { Wide energy = 0; std::int64_t busy = 0; };
  Spent under_way(Time now) const;
  /// Energy of stages of steps under way that the recorder was told of when they began, nJ.
  std::int64_t told_ahead() const;
  KvState kv_now() const;                ///< brings a run under way up to date
  Tokens context_now(CallId id) const;   ///< iterations of a run under way that have ended counted in
  Tokens emitted_now(CallId id) const;
  std::int32_t running() const { return running_; }
  bool empty() const { return running_ == 0 && ledger_.state().available() == ledger_.config().total; }
  std::span<const CallId> queue() const { return waiting_.view(); }
  void decoding(std::vector<CallId>& out) const;   ///< members of all lanes' groups, by number

  StationId id() const { return id_; }
  const KvLedger& ledger() const { return ledger_; }
  Bytes kv_bytes_per_token() const { return parts_.kv_bytes_per_token; }
  const PrefixView* prefix() const { return parts_.kv.prefix == PrefixKind::kNone ? nullptr : this; }
  std::uint64_t decisions_hash() const { return hash_; }
  std::int64_t iterations() const { return iterations_; }
  std::size_t waiting() const { return waiting_.size() + swapped_.size(); }
  /// The state of a call that has not left; for the rows of those in flight at the end.
  Tokens context(CallId id) const;
  Tokens emitted(CallId id) const;

 private:
  PrefixMatch match(CallId id) const override;
  Blocks releasable(CallId id) const override { return ledger_.releasable(id); }

  enum class State : std::uint8_t { kIdle, kReady, kRunning };
  struct Cohort { Time last; std::int32_t count; };   ///< members whose last token is not the group's last
  struct SwapOut { CallId call; Tokens context; };
  struct GivenUp { CallId call; Status why; };

  struct Lane {
    Lane(int i, const KvConfig& kv) : index(i), group(i, kv.block_tokens, !kv.contiguous) {}
    int index;
    State state = State::kIdle;
    Time at{};                       ///< running: end of the step; ready: when the first stage is free
    Time start{};
    std::int64_t k = 0;              ///< iterations of the running step
    std::int64_t told = 0;           ///< of them, those that policies have heard of
    StepRun run;
    StepShape shape;
    DecodeGroup group;
    BatchPlan plan;
    StationView view;
    SmallVec<CallId> prefilling, full, held, done;
    SmallVec<CallId> detaching, landed;   ///< of other stations: to leave at the next boundary, to join
    SmallVec<GivenUp> given_up;
    SmallVec<ChunkShape> chunks;
    SmallVec<SwapOut> swapping;
    std::vector<StageTime> stages;       ///< of the running step, if it is metered
    Blocks taken;                    ///< by iterations of the running step after its first, ahead of its end
    Tokens host_returning;           ///< host memory given back when the step ends
    std::int64_t steps_since_admission = 0;
    Time last_emit{};
    SmallVec<Cohort> cohorts;

    bool swaps() const { return (swapping.size() | static_cast<std::size_t>(host_returning.value())) != 0; }
    /// What most steps end without.
    bool anything_odd() const { return swaps() || (given_up.size() | detaching.size() | held.size()) != 0; }
  };

  // Planning (station_plan.cpp).
  void prepare_view(Lane& lane);
  void fill_view(Lane& lane, Time now);
  void refresh_keys(Lane& lane, Time now);
  void start(Lane& lane, Time now);
  void start_oddly(Lane& lane, Time now);
  Time plan_lanes(Time now);
  void carry_out(Lane& lane, Time now);
  bool holds_again(const Lane& lane) const;
  void make_changes(Lane& lane, Time now);
  void price_swaps(Lane& lane);
  void depart(Lane& lane, const BatchPlan::Departure& d, Time now);
  void resume(Lane& lane, CallId id, Time now);
  void admit(Lane& lane, const BatchPlan::Admission& a, Time now);
  void take_chunks(Lane& lane, Time now);
  void take_decodes(Lane& lane);
  void count_copies(StepShape& shape);
  void run_step(Lane& lane, Time now);
  void execute(Lane& lane, Time now);
  void run_pipeline(Lane& lane, Time now);
  std::int64_t iterations_at_once(Lane& lane) const;
  void verify(Lane& lane);
  void verify_again(Lane& lane, Time now);
  Blocks unusable() const;
  void tell_kv(Time now);

  // The end of a step (station_step.cpp).
  void end_step(Lane& lane, Time now);
  BatchPlan::Padding padding_of(const Lane& lane) const;
  void tell_watchers(const Lane& lane) const;
  void end_oddly(Lane& lane, Time now);
  void end_swaps(Lane& lane);
  void drop_given_up(Lane& lane, Time now);
  void charge(const Lane& lane) const;
  void advance_group(Lane& lane, Time now);
  void take_due(Lane& lane);
  void add_full(Lane& lane, CallId id);
  void record_gaps(Lane& lane);
  void end_chunks(Lane& lane, Time now);
  void first_token_or_gap(CallId id, Time now);
  void join(Lane& lane, CallId id, Time last);
  Tokens32 regrown(CallId id, Tokens context) const;
  void complete(Lane& lane, CallId id, Time now);
  void release_held(Lane& lane, Time now);
  std::int64_t begun(const Lane& lane, Time now) const;
  void disturb(Time now);
  void cut(Lane& lane, Time now);
  void tell_steps(Lane& lane, std::int64_t ended);
  void drop(CallId id, Status why, Time now, std::int64_t ahead = 0);
  void catch_up(Lane& lane) const;
  std::int64_t ended(const Lane& lane) const;
  bool goes_elsewhere(const Lane& lane, CallId id, Time now);
  void hand_over(CallId id, Tokens context, Time now);
  void depart_detached(Lane& lane, Time now);
  void join_landed(Lane& lane, Time now);
  void leave_landed(CallId id);
  void end_early(Lane& lane);
  void report_kv(Time now);
  void kill_lane(Lane& lane, Time now, std::vector<CallId>& lost);
  void lose(CallId id, Time now);
  void count_in(CallId id);
  void count_out(CallId id);
  void take_out(Lane& lane, CallId id);
  void finish(CallId id, Tokens context, Tokens emitted, Status status, Time now);

  std::int64_t key(CallId id, const StationView* view) const;
  void leave_cohort(Lane& lane, CallId id);
  void tell(CallEvent::Kind kind, CallId id, Time now, int lane) {
    if (events_) tell_policies(kind, id, now, lane);
  }
  void tell_policies(CallEvent::Kind kind, CallId id, Time now, int lane);
  void decide(const Lane& lane, Decision kind, CallId id, Tokens tokens, Time now, std::int64_t ahead = 0) {
    const std::uint64_t number = id.valid() ? run_->calls.call(id).number : 0;
    const DecisionRecord d{id_.index, lane.index, lane.group.clock() + ahead, kind, number, tokens.value()};
    hash_ = fold(hash_, d);
    if (run_->decisions) show(now, d);
  }
  void show(Time now, DecisionRecord d) { run_->decisions->decision(now, d); }

  StationId id_;
  StationParts parts_;
  RunContext* run_;
  StationLoad* load_;
  mutable KvLedger ledger_;              ///< a question of a router brings a run that is under way up to date
  mutable std::vector<Lane> lanes_;
  std::vector<Time> stage_free_;
  CallQueue waiting_, swapped_;
  std::int32_t running_ = 0;
  bool batcher_events_ = false, order_events_ = false, events_ = false;   ///< who wants them; anybody
  const CostModel* model_ = nullptr;     ///< that the executor asks, if it does nothing else
  bool live_ = false;                    ///< the executor runs kernels: it wants the journal
  bool dynamic_order_ = false;           ///< keys of waiting calls change
  bool reuses_plans_ = false;            ///< fast-forward, one lane, and nobody who looks at each plan
  bool same_again_ = false;              ///< the plan of the step under way may hold for the next one: Repeat::chunk
  std::vector<std::int64_t> ranks_;      ///< scratch
  const CostModel* usual_ = nullptr;     ///< once it has been slowed down
  std::int64_t slow_per_mille_ = 1000;
  std::unique_ptr<ScaledCost> slow_;
  std::unique_ptr<ModelExecutor> slow_executor_;
  std::uint64_t hash_ = 0;
  std::int64_t iterations_ = 0;
  bool busy_for_others_ = false;         ///< computes KV of a call that is to come
  StepShape other_shape_;
  StepRun other_run_;                    ///< of the first stage
  ChunkShape other_chunk_;
};

}  // namespace orrery
