/// The cluster of a run: instances with a role and a phase, calls on their way from one to another, and the events of
/// both. It carries out what a ClusterPolicy (sim/cluster.hpp) decides, on stations that know nothing of each other.
///
/// A call's journey. Its prompt is computed at `at`; when that is done its lease is frozen there, it waits in the queue
/// of `to` until its KV may come, room is booked, the KV is copied over the fabric, the frozen lease is given back when
/// the last byte has arrived, and the call joins the decode group of `to`. A migration enters the same path after it
/// has left its batch; a live one copies in stages first, while the call decodes. Where tokens are sent, a copy is a
/// step of the destination that computes their KV, and nothing else is run there until the call has come.
///
/// Costs: O(1) an event but for the fabric (fabric.hpp) and for stopping an instance, which looks at all journeys.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "sim/cluster.hpp"
#include "sim/engine/cluster_parts.hpp"
#include "sim/engine/fabric.hpp"
#include "sim/engine/outcome.hpp"
#include "sim/engine/station.hpp"
#include "sim/metrics/histogram.hpp"
#include "sim/signal.hpp"

namespace orrery {

/// What the cluster asks of the simulation.
class ClusterHost {
 public:
  virtual ~ClusterHost() = default;
  virtual Station& station(StationId) = 0;
  virtual void touch(StationId) = 0;                        ///< it plans at the end of this instant
  // A call that cannot be held, or that the service does not take, has left when these say no.
  virtual bool fits(CallId, StationId, Time now) = 0;
  virtual bool admits(CallId, StationId, Time now) = 0;
  virtual void send(CallId, StationId, Time now) = 0;       ///< into its queue
  virtual const PrefixView* prefix(StationId) const = 0;    ///< null: no prefix cache
  virtual void reject(CallId, Time now) = 0;
  virtual Rng rng(Purpose, std::uint64_t number) const = 0;
};

class ClusterEngine final : public Cluster, public CallMover {
 public:
  ClusterEngine(ClusterParts parts, ClusterHost& host, RunContext& run, std::span<const StationLoad> loads);

  /// The next event; those that happen only for the sake of the policy or a controller (ticks) apart.
  Time next();
  Time next_tick() const;
  void run_events(Time now);
  /// A call has arrived, or has lost the instance that had it (`again`): the service has taken it already.
  void place(CallId id, Time now, bool again = false);
  /// Before a station plans: calls whose KV may come, and whether nothing is left there.
  void settle(StationId station, Time now);
  /// Has a call come into the queue of a station since this was asked last?
  bool take_queued() { return std::exchange(queued_, false); }
  /// Nothing can happen any more: of the calls that wait for room, one decodes where its KV is. False if none waits.
  bool unlock(Time now);
  /// A call ends. Before its slot is reused.
  void left(CallId id, Time now);
  /// The client of a call gives up; true if it was under way or held here and left with that.
  bool cancel(CallId id, Time now, const std::function<void(CallId, Tokens undone)>& leave);
  std::uint64_t hash() const { return hash_; }
  /// Time for which an instance was paid for, until `end`.
  Duration paid(StationId station, Time end) const;
  void complete_row(Row& row, CallId id) const { complete(row, id); }
  /// Time for which each node was there, until `end`.
  std::vector<Duration> paid_nodes(Time end) const;
  /// Nodes come and go, and no instance runs: calls may wait for ever.
  bool starved() const;
  std::int64_t migrations() const { return migrations_; }
  /// Time for which migrating calls stood still while the last of their KV was copied: of all, and of one at most.
  Duration downtime() const { return downtime_; }
  Duration longest_downtime() const { return longest_downtime_; }
  Wide bytes_sent() const { return sent_; }        ///< of KV, between instances
  ColdStarts cold_starts() const;

  // What controllers order beside what the policy may. An instance that has failed cannot start before it is restored.
  /// It stops; until `detect` later it looks as it did, and calls that are sent there wait in vain.
  void fail(StationId s, Duration detect, Move calls);
  void restore(StationId s) { broken_[static_cast<std::size_t>(s.index)] = 0; }
  bool broken(StationId s) const { return broken_[static_cast<std::size_t>(s.index)] != 0; }
  void slow(StationId s, std::int64_t per_mille);           ///< price of its steps, of the usual one
  void degrade(StationId s, std::int64_t per_mille);        ///< bandwidth of its network, of the usual one
  void degrade(PoolId from, PoolId to, std::int64_t per_mille);   ///< of the link between pools
  /// Calls that lost this instance when it failed, or were sent there while nobody knew, so far.
  std::int64_t hurt(StationId s) const { return hurt_[static_cast<std::size_t>(s.index)]; }
  /// Calls are held, or have their prompt done and nowhere to decode.
  bool somebody_waits() const { return !held_.empty() || !undecided_.empty(); }
  std::int64_t placed(PoolId p) const { return placed_[static_cast<std::size_t>(p.index)]; }   ///< calls, so far
  const PrefixView* prefix(StationId s) const { return host_->prefix(s); }
  Rng rng(Purpose purpose, std::uint64_t number) const { return host_->rng(purpose, number); }

  // What the policy asks.
  Time now() const override { return now_; }
  std::span<const Pool> pools() const override { return pools_; }
  std::span<const Instance> instances() const override { return instances_; }
  using Cluster::instances;
  std::span<const Server> servers() const override { return parts_.servers; }
  KvState kv(StationId s) const override { return host_->station(s).kv_now(); }
  std::int32_t running(StationId s) const override { return host_->station(s).running(); }
  std::span<const CallId> waiting(StationId s) const override { return host_->station(s).queue(); }
  std::span<const CallId> decoding(StationId s) const override;
  std::span<const CallId> held() const override;
  const Call& call(CallId id) const override { return run_->calls.call(id); }
  Tokens context(CallId id) const override;
  Tokens emitted(CallId id) const override;
  bool moving(CallId id) const override;
  bool committed(CallId id) const override;
  std::span<const Node> nodes() const override { return nodes_; }
  std::span<const std::int32_t> nodes_of(StationId s) const override {
    return stands_on_[static_cast<std::size_t>(s.index)].nodes;
  }

  // What the policy orders.
  bool migrate(CallId id, StationId to, Move how) override;
  void set_role(StationId s, Role role) override;
  void start(StationId s, Duration delay, Phase how) override;
  void load(StationId s, Duration delay, Tier from, std::int32_t model) override;
  void drain(StationId s) override;
  void undrain(StationId s) override;
  void stop(StationId s, Move calls) override;
  void wake(Time at) override;
  void forget(CallId id) override;
  bool occupy(StationId s, std::span<const std::int32_t> nodes) override;
  void fill(PoolId pool) override;

 private:
  /// Where a call stands between instances.
  enum class Leg : std::uint8_t {
    kNone,        ///< at one instance; `to` is where it will decode, if it is known
    kUndecided,   ///< KV frozen at `at`, nobody knows where to go
    kQueued,      ///< KV frozen at `at`, waits for room at `to`
    kCopying,     ///< KV frozen at `at`, room booked at `to`
    kLive,        ///< decodes at `at` while KV is copied
    kStopping,    ///< leaves its batch at the next boundary
    kCommitted,   ///< held with its KV, at no instance; `at` stays invalid while it then waits in the queue of `to`
  };
  struct Journey {
    StationId at, to;
    Leg leg = Leg::kNone;
    Move how = Move::kStop;
    bool expected = false;        ///< counted as inbound at `to`
    bool handed_over = false;     ///< after its prompt, not a migration
    bool taken = false;           ///< by the service
    Transfer transfer = Transfer::kSerialized;
    std::uint16_t migrations = 0;
    int stage = 0;
    FlowId flow;
    Time computing = kNever;      ///< since then `to` computes the KV of the tokens from `copied` to `context`
    Tokens context, booked, copied;
    Duration step{};              ///< the prefill step that ended its prompt
    Time since{};                 ///< in this leg
    Duration moved{}, queued{};   ///< for its row
    Time held = kNever;           ///< since then, by the policy
    Duration loaded{};            ///< for its row: of the time it was held, while weights were loaded for it
    StationId decoded;            ///< where its KV came to last
    CallId id;
    std::size_t place = 0;        ///< in under_way_, while it has a leg
    std::uint32_t arrival = 0;    ///< version of its arrival: stale events are dropped
  };
  struct Event {
    Time at;
    std::uint64_t order;
    enum Kind : std::uint8_t { kArrive, kServe, kGone, kDetect, kWake, kHappening, kNodes, kBandwidth } kind;
    std::uint64_t what;           ///< index of a call, station, happening, signal, or the first of node events
    std::uint32_t version;        ///< of the journey's arrival or the instance's phase
    friend bool operator>(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };

  bool takes_over(CallId id, StationId at, Time began, Time now) override;
  bool wants(CallId id) const override { return journey_of(id) && journey_of(id)->leg == Leg::kStopping; }
  void detached(CallId id, StationId at, Time now) override;
  void stayed(CallId id) override;
  void complete(Row& row, CallId id) const override;
  bool steps(StationId s) const override {
    return parts_.policy->accepts_by_progress() && !queues_[static_cast<std::size_t>(s.index)].empty();
  }

  Journey& journey(CallId id);
  const Journey* journey_of(CallId id) const;
  Instance& at(StationId s) { return instances_[static_cast<std::size_t>(s.index)]; }
  void expect(CallId id, StationId to);
  void unexpect(CallId id);
  void push(Time at, Event::Kind kind, std::uint64_t what, std::uint32_t version = 0);
  void add_links();
  LinkId add_link(std::int64_t bytes_per_s);
  void set_bandwidth(LinkId link, std::int64_t usual, std::int64_t per_mille);
  void change_bandwidth(std::size_t signal);
  std::size_t pair(PoolId from, PoolId to) const {
    return static_cast<std::size_t>(from.index) * pools_.size() + static_cast<std::size_t>(to.index);
  }
  void handle(const Event& e);
  void happen(const Happening& h);
  void enter(StationId s, Phase phase, std::string_view who, std::optional<Duration> estimate = {});
  void begin(StationId s, Duration delay, Phase how, Tier from, std::int32_t model);
  void serves(StationId s);
  bool empty(StationId s) const;
  void let_in(CallId id, StationId to);
  void announce(StationId s, Duration grace);
  void deliver(CallId id, StationId s);
  bool book(StationId s, Tokens from, Tokens to);
  void strand(CallId id, StationId s);
  void unstrand(CallId id, StationId s);
  void take_stranded(StationId s, std::vector<CallId>& lost);
  bool hung(StationId s) const { return hung_[static_cast<std::size_t>(s.index)] != 0; }
  void ask_again();
  void tell_wait() {
    for (ClusterController* c : parts_.controllers) c->on_wait(*this);
  }
  void decide(CallId id);
  void stay(CallId id, StationId at);
  void queue_for(CallId id, StationId to);
  void turn_back(StationId s);
  bool locked(StationId s);
  void start_copy(CallId id);
  void start_flow(CallId id, Tokens tokens);
  void send_rest(CallId id);
  bool last_stage(const Journey& j, Tokens before, Tokens more) const;
  bool computes_for_others(StationId to) const;
  void start_compute(CallId id);
  void end_compute(CallId id, bool done);
  void set_out(CallId id, Leg leg);
  void end_journey(CallId id);
  void abandon_copy(CallId id);
  void flow_ended(Journey& j);
  void arrive(CallId id);
  void migrate_waiting(CallId id, StationId from, StationId to);
  Tokens undone(CallId id) const;
  void reset(CallId id, Move how);
  void next_live_stage(CallId id);
  void give_up_live(CallId id);
  void begin_again(CallId id, Move how);
  void place_again(CallId id);
  void forget_destination(CallId id);
  void lose_frozen(CallId id);
  void stop_journeys(StationId s, std::vector<CallId>& lost);
  void act(std::string_view who, std::string_view what, StationId s, const Call* call, std::int64_t value,
           std::optional<Duration> estimate = {});

  // Nodes, and calls that no instance has (cluster_nodes.cpp).
  struct Standing {
    std::vector<std::int32_t> nodes, devices;   ///< where, and how many of each
  };
  void add_nodes();
  void change_nodes(std::size_t first);
  void change_node(const NodeEvent& e);
  void vacate(StationId s);
  bool stands_on(StationId s, std::span<const std::int32_t> nodes) const;
  std::vector<std::int32_t> room_for(std::int32_t devices) const;
  bool commit(CallId id);
  void await(CallId id, StationId to);
  void land_committed(CallId id);
  void hold_again(CallId id);

  ClusterParts parts_;
  std::unique_ptr<ClusterPolicy> routed_;      ///< where there is a router instead of a policy
  std::string_view acting_ = "policy";         ///< who orders
  ClusterHost* host_;
  RunContext* run_;
  Time now_{}, tick_ = kNever;
  std::vector<Pool> pools_;
  std::vector<Instance> instances_;
  std::vector<Duration> paid_;                 ///< until the present phase
  std::vector<std::uint32_t> version_;         ///< of an instance's phase: stale events are dropped
  std::vector<std::uint8_t> idle_;             ///< told already
  std::vector<std::uint8_t> broken_;           ///< failed, not restored
  std::vector<std::uint32_t> hung_;            ///< number of the failure that nobody has noticed; 0: none
  std::vector<std::vector<CallId>> stranded_;  ///< calls that wait in vain, by station
  std::vector<std::int64_t> hurt_;
  std::vector<std::int64_t> placed_;           ///< by pool
  struct Load { Time from = kNever, to = kNever; Tier tier = Tier::kNone; };
  std::vector<Load> loads_;                    ///< the last start of an instance
  std::array<Histogram, kTiers> load_times_;   ///< of cold starts that are over, ps
  Histogram all_load_times_;
  std::vector<Node> nodes_;
  std::vector<Duration> node_time_;            ///< until their present state
  std::vector<Standing> stands_on_;            ///< by station
  std::vector<std::int32_t> outbound_;         ///< frozen leases
  std::vector<std::deque<CallId>> queues_;     ///< calls whose KV is to come, by station
  std::vector<LinkId> out_, in_;               ///< of stations
  std::vector<LinkId> pair_;                   ///< of pools, from * pools + to
  struct Bandwidth { std::int64_t usual = 0, per_mille = 1000; };
  std::vector<Bandwidth> bandwidth_;           ///< of links
  std::vector<Duration> latency_;
  Fabric fabric_;
  std::deque<Journey> journeys_;               ///< by call slot; stays where it is when calls come in between
  std::vector<CallId> under_way_;              ///< journeys with a leg
  std::deque<CallId> held_, undecided_;
  bool asking_ = false, something_changed_ = false, queued_ = false;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t pushed_ = 0, hash_ = 0;
  std::int64_t migrations_ = 0;
  std::uint32_t failures_ = 0;
  Duration downtime_{}, longest_downtime_{};
  Wide sent_ = 0;
  mutable std::vector<CallId> scratch_;
};

}  // namespace orrery
