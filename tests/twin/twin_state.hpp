/// What the twin keeps: calls, lanes, stations. Its members are in files by what happens in one instant, in this order:
/// twin.cpp (the loop), twin_step.cpp (a step ends), twin_clients.cpp (clients give up, requests arrive), twin_plan.cpp
/// (planning); twin_view.cpp is what policies see.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/plan.hpp"
#include "tests/twin/twin.hpp"
#include "tests/twin/twin_kv.hpp"

namespace orrery::twin {

/// A call as it truly stands. The rows that policies see are written from it, as of the call's last change.
struct TwinCall {
  TwinRequest given;
  CallId id;
  TwinLease lease;
  Time last_token{};
  Tokens emitted, context, cached, promise;
  Tokens joined_context;      ///< context when it joined its group
  int station = -1, lane = -1;
  Time gives_up = kNever;     ///< whatever comes of it
  std::vector<Time> tokens;   ///< when each came that the client has now
  TwinRow row;

  std::uint64_t number() const { return given.request.number; }
  Tokens output() const { return given.request.output_tokens; }
};

struct Step {
  Time end{};
  bool decodes = false;
  std::vector<BatchPlan::Chunk> chunks;
  std::vector<CallId> swapped_out;
  Tokens resumed;             ///< context of the calls that came back from host memory
};

struct Lane {
  std::vector<CallId> prefilling, members, held;
  std::vector<std::pair<CallId, TwinStatus>> given_up;
  std::int64_t clock = 0, steps_since_admission = 0;
  Tokens longest_at_zero;     ///< max over members, since the group was last empty, of context - clock
  std::optional<Step> step;
  bool ready = false;         ///< would plan, but the first stage is taken
};

struct TwinStation;

struct CacheOfStation final : PrefixView {
  const TwinStation* station = nullptr;
  class Twin* twin = nullptr;
  PrefixMatch match(CallId) const override;
  Blocks releasable(CallId) const override;
};

struct TwinStation {
  int index = 0;
  Batcher* batcher = nullptr;
  QueueOrder* order = nullptr;
  std::unique_ptr<TwinKv> kv;
  CacheOfStation cache;
  std::vector<CallId> waiting, swapped;
  std::vector<Lane> lanes;
  std::vector<Time> stage_free;   ///< by pipeline stage
  Tokens host_free;
  Blocks unusable;                ///< as of the last plan
  bool changed = false;           ///< it has work in this instant: all lanes that run nothing are asked
};

class Twin {
 public:
  Twin(const TwinConfig& config, RequestSource& source);
  TwinResult run();

  TwinCall& at(CallId id) { return *calls_[id.index]; }
  CallRow& row(CallId id) { return rows_[id.index]; }

 private:
  // what happens, in the order of one instant
  Time next_event();
  void integrate(Duration time);
  Blocks unusable(TwinStation& s);
  void boundary(TwinStation& s, Lane& lane);
  void arrivals();
  void plan_lanes(TwinStation& s);
  // arrival
  void accept();
  void submit(std::unique_ptr<TwinCall> c, Time at);
  double experience(const TwinCall& c) const;
  bool tries_again(const TwinCall& c, TwinStatus status, bool for_good) const;
  void try_again(TwinCall& c);
  void unserved(TwinCall& c, TwinStatus status, bool for_good);
  void route(TwinCall& c);
  Blocks watermark(const TwinStation& s) const;
  bool never_fits(const TwinStation& s, const Call& call) const;
  // one iteration
  bool plan_once(TwinStation& s, int lane);
  void rank(TwinStation& s, int lane);
  void resume(TwinStation& s, int lane, CallId id, const StationView& v, Step& step, StepShape& shape);
  void admit(TwinStation& s, int lane, const BatchPlan::Admission& a, const StationView& v);
  void take_chunk(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk, const StationView& v, Step& step,
                  StepShape& shape);
  void leave(TwinStation& s, Lane& lane, const BatchPlan::Departure& d, Step& step, StepShape& shape);
  void regrow(TwinCall& c);
  void start(TwinStation& s, Lane& lane, Step step, StepShape shape, const BatchPlan& plan);
  void release_held(TwinStation& s, Lane& lane);
  void cancels();
  void drop(TwinStation& s, TwinCall& c, TwinStatus why);
  void chunk_done(TwinStation& s, Lane& lane, const BatchPlan::Chunk& chunk);
  // a call's life
  void join(Lane& lane, CallId id);
  void drop_from(Lane& lane, CallId id);
  void token(TwinStation& s, CallId id);
  void finished(TwinStation& s, Lane& lane, CallId id);
  void gone(TwinStation& s, CallId id, TwinStatus status, bool for_good = false);
  void enter(TwinStation& s, std::vector<CallId>& queue, CallId id);
  // the policy's picture
  StationView view(TwinStation& s, int lane);
  bool reached_reservation(CallId id);
  bool is_full(CallId id);
  bool needs_block(CallId id);
  void sort_by_number(std::vector<CallId>& ids);
  void event(TwinStation& s, CallEvent::Kind kind, CallId id);
  void note(TwinStation& s, const Lane& lane, TwinDecision::Kind kind, CallId id, Tokens tokens);
  std::vector<StationLoad> loads();

  const TwinConfig config_;
  RequestSource& source_;
  int stages_;
  Tokens block_tokens_;
  Time now_{};
  std::vector<std::unique_ptr<TwinCall>> calls_;
  std::vector<CallRow> rows_;
  std::vector<std::int64_t> keys_;   ///< places in the queue orders, by row
  std::vector<TwinStation> stations_;
  std::set<std::pair<Time, std::uint64_t>> coming_;    ///< arrived calls that wait for their prediction
  /// Clients that will give up, if they have no answer by then: when, who, all of it (cancelled) or this attempt.
  std::set<std::tuple<Time, std::uint64_t, TwinStatus>> giving_up_;
  std::map<std::uint64_t, CallId> by_number_;
  std::vector<CallId> full_;                           ///< of the view being planned
  BuddyRuns runs_{};
  std::vector<StationLoad> snapshot_;
  Time next_snapshot_{};
  std::uint64_t routed_ = 0;
  TwinResult result_;
};

}  // namespace orrery::twin
