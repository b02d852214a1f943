/// Systems over several instances, on one page: what a cluster policy sees of its instances and what it may order.
///
///   ClusterPolicy   which instance prefills a call and which decodes it, which calls move, which instances serve
///   Cluster         the instances as of now, and the orders; the engine implements it (engine/cluster.hpp)
///   Node            a machine that comes and goes (docs/adr/0005-capacity.md); instances stand on nodes where the run
///                   has a capacity trace, else nowhere in particular
///
/// An instance is a station (policy.hpp) with a role and a phase of life; a pool is a set of like instances. Without a
/// cluster policy, a Router picks among the instances of the first pool and nothing moves.
///
/// A policy is a function of what it asks the cluster and of its own state, which may change in any hook: hooks are
/// called at events, in a fixed order, whether runs are fast-forwarded or stepped. Questions cost O(1) unless said
/// otherwise.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/base/units.hpp"
#include "sim/call.hpp"
#include "sim/cost.hpp"
#include "sim/policy.hpp"

namespace orrery {

using PoolId = Id<struct PoolTag>;

/// What an instance does with the calls it is given.
enum class Role : std::uint8_t {
  kMixed,     ///< prompts and decoding
  kPrefill,   ///< prompts only: a call decodes where the policy says
  kDecode,    ///< decodes calls that come with their KV
};

/// The life of an instance. It is paid for from kProvisioning to kGone or kOff.
enum class Phase : std::uint8_t {
  kOff,            ///< not there
  kProvisioning,   ///< asked for, not there yet
  kLoading,        ///< weights are on their way to the device
  kWarm,           ///< weights loaded, nobody served yet
  kServing,        ///< takes calls
  kDraining,       ///< finishes what it has
  kMigrating,      ///< changes its parallelism or gives its state away; takes nothing
  kAnnounced,      ///< will be taken away at its deadline; finishes what it can
  kGone,           ///< was taken away, or failed
};

constexpr std::string_view name(Phase p) {
  constexpr std::string_view names[] = {"off",      "provisioning", "loading",   "warm", "serving",
                                        "draining", "migrating",    "announced", "gone"};
  return names[static_cast<int>(p)];
}

/// Where the weights of a model lie when an instance loads them, fastest first.
enum class Tier : std::uint8_t {
  kNone,     ///< not said: no cold start
  kDram,     ///< pinned memory of the node
  kSsd,      ///< its disk
  kRemote,   ///< elsewhere, over the node's network
};
inline constexpr std::size_t kTiers = 4;

constexpr std::string_view name(Tier t) {
  constexpr std::string_view names[] = {"none", "dram", "ssd", "remote"};
  return names[static_cast<int>(t)];
}

/// What the instances on one machine load weights from; a bandwidth of 0 is no limit.
struct Server {
  std::int32_t gpus = 1;
  Bytes dram;                           ///< pinned memory for weights
  std::int64_t dram_bytes_per_s = 0;    ///< from there to one device: each has a link of its own
  std::int64_t ssd_bytes_per_s = 0, network_bytes_per_s = 0;
};

/// How the instances of a pool come and go, as far as the config says.
struct Lifecycle {
  std::int32_t min = 0;                 ///< instances that stay when nothing is left to do
  Duration keep_alive{-1};              ///< of an instance without calls; negative: as the policy says
  Tier tier = Tier::kSsd;               ///< where the weights of every model lie at the start, on every node
  Duration engine_init{};               ///< from loaded weights to the first step
};

/// One instance, as of now.
struct Instance {
  StationId station;
  PoolId pool;
  Role role = Role::kMixed;
  Phase phase = Phase::kServing;
  std::int32_t node = -1;            ///< the machine it stands on; -1: not said
  std::int32_t model = -1;           ///< that it was started with, as in Call::model; -1: serves any
  Time since{};                      ///< in this phase
  Time deadline = kNever;            ///< announced: when it goes
  const StationLoad* load = nullptr; ///< live counters of what is queued and runs here
  std::int32_t inbound = 0;          ///< calls that decode here once their prompt is done or their KV has come
  Tokens inbound_tokens;             ///< their prompt tokens, and predicted output tokens at most

  bool takes_calls() const { return phase == Phase::kServing; }
  /// Does it run steps? An announced instance does until it goes.
  bool runs() const { return phase == Phase::kServing || phase == Phase::kDraining || phase == Phase::kAnnounced; }
};

struct Pool {
  std::string_view name;
  StationId first;                   ///< its instances are `count` stations from here
  std::int32_t count = 0;
  Role role = Role::kMixed;          ///< of its instances at the start
  std::int32_t priority = 0;         ///< of the calls that it is for; lower is more urgent
  Bytes kv_bytes_per_token{};        ///< over all devices of one instance
  int layers = 1;                    ///< of the model, for layer-wise transfers
  int tp = 1, pp = 1;
  int max_running = 0;               ///< calls that may hold KV at an instance; 0: not known
  Bytes weight_bytes{};              ///< of the model, over all devices of an instance; 0: not known
  std::int64_t bytes_per_s = 0;      ///< of an instance's network, each way; 0: not a limit
  Duration start_delay{};            ///< from the order to serving, for instances that start on new nodes
  bool on_nodes = false;             ///< its instances stand on nodes of the capacity trace
  const CostModel* cost = nullptr;   ///< of an instance; outlives the run. Null: not known
  Lifecycle lifecycle{};

  std::int32_t devices() const { return tp * pp; }
};

/// A machine, as of now.
struct Node {
  enum State : std::uint8_t { kOff, kUp, kAnnounced };
  std::string_view name;
  State state = kOff;
  Time since{};                      ///< in this state
  Time deadline = kNever;            ///< announced: when it is to go
  std::int32_t devices = 1, taken = 0;   ///< all, and those that instances occupy

  std::int32_t free() const { return state == kUp ? devices - taken : 0; }
};

enum class NodeChange : std::uint8_t { kAdded, kAnnounced, kGone };

/// How the KV of a call goes from one instance to another.
enum class Transfer : std::uint8_t {
  kSerialized,   ///< all of it, once the prompt is done
  kLayerwise,    ///< each layer as soon as the last prefill step has computed it
};

/// How a call that runs is moved.
enum class Move : std::uint8_t {
  kLive,         ///< KV is copied in stages while it decodes; it stands still for the last stage only (Llumnix)
  kStop,         ///< it stands still while all its KV is copied; stays if there is no room for it when it has stopped
  kLiveTokens,   ///< its tokens are sent in rounds while it decodes, an empty destination computes their KV
                 ///< (ServerlessLLM)
  kRecompute,    ///< its tokens are sent, the destination computes the KV anew
  kRestart,      ///< it starts anew there, without the tokens it had
  kCommit,       ///< of an instance that stops: the call keeps its tokens and KV while no instance has it, and decodes
                 ///< on where it is placed next, without computing anything again (SpotServe)
};

/// The instances and calls as a cluster policy sees them, and what it may order.
class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual Time now() const = 0;
  virtual std::span<const Pool> pools() const = 0;
  virtual std::span<const Instance> instances() const = 0;          ///< by StationId::index
  virtual std::span<const Server> servers() const { return {}; }    ///< by Instance::node; empty: not said
  const Instance& instance(StationId s) const { return instances()[static_cast<std::size_t>(s.index)]; }
  std::span<const Instance> instances(PoolId p) const {
    const Pool& pool = pools()[static_cast<std::size_t>(p.index)];
    return instances().subspan(static_cast<std::size_t>(pool.first.index), static_cast<std::size_t>(pool.count));
  }
  const Pool& pool_of(StationId s) const { return pools()[static_cast<std::size_t>(instance(s).pool.index)]; }

  virtual KvState kv(StationId) const = 0;                          ///< a fast-forwarded run is brought up to now first
  virtual std::int32_t running(StationId) const = 0;                ///< calls that hold KV there
  virtual std::span<const CallId> waiting(StationId) const = 0;     ///< in queue order
  /// Calls that decode there, by number. O(n log n); valid until the next such question.
  virtual std::span<const CallId> decoding(StationId) const = 0;
  /// Calls that route() holds, in the order in which it is asked about them again. O(n); valid until the next question.
  virtual std::span<const CallId> held() const { return {}; }
  virtual const Call& call(CallId) const = 0;
  virtual Tokens context(CallId) const = 0;                         ///< tokens whose KV exists
  virtual Tokens emitted(CallId) const = 0;                         ///< output tokens so far
  virtual bool moving(CallId) const = 0;                            ///< under way from one instance to another
  /// It has no instance and keeps its KV (Move::kCommit); route() says where it goes on.
  virtual bool committed(CallId) const { return false; }
  virtual std::span<const Node> nodes() const { return {}; }        ///< by number; empty: no capacity trace
  virtual std::span<const std::int32_t> nodes_of(StationId) const { return {}; }

  /// Moves a call from where it is to `to`. False, and nothing done, if it is moving already or `to` does not run. A
  /// live move is given up if the call ends, is preempted, or its destination runs out of room. Live by tokens, `to`
  /// must have no calls, and those that come meanwhile wait until it is over.
  virtual bool migrate(CallId, StationId to, Move how) = 0;
  virtual void set_role(StationId, Role) = 0;                       ///< counts for calls from now on
  /// An instance that is off comes to serve after `delay`, in phase `how` until then.
  virtual void start(StationId, Duration delay, Phase how) = 0;
  /// The same, with a model whose weights it loads from a tier: a cold start. Only calls of this model may be placed
  /// there.
  virtual void load(StationId, Duration /*delay*/, Tier /*from*/, std::int32_t /*model*/) {}
  virtual void drain(StationId) = 0;                                ///< takes no more calls; off when it has none
  virtual void undrain(StationId) = 0;                              ///< a draining instance serves again
  /// Off at once. Its calls are routed anew: with the tokens they have (recompute), from their start, or with their KV
  /// (commit; calls whose prompt was not done are recomputed).
  virtual void stop(StationId, Move calls) = 0;
  virtual void forget(CallId) {}                                    ///< a committed call gives up its KV
  /// An instance that is off will stand on these nodes, on as many free devices of each, in this order, as it needs. It
  /// gives them back when it is off again. False, and nothing done, if they have too few or it is not off.
  virtual bool occupy(StationId, std::span<const std::int32_t>) { return false; }
  /// Instances of the pool that are off start on free devices, as many as there is room for: within a node if they fit
  /// into one. O(instances * nodes).
  virtual void fill(PoolId) {}
  virtual void wake(Time at) = 0;                                   ///< on_tick then, after held calls were asked about
};

/// When a live move stops its call for the last stage: no more than `last` is left to copy, or after so many stages.
struct LiveMove {
  Tokens last{64};
  int stages = 3;
};

/// Where a new call goes.
struct Placement {
  enum Kind : std::uint8_t { kPlaced, kHold, kReject } kind = kPlaced;
  StationId prefill, decode;   ///< decode: invalid if that is decided when the prompt is done; may equal prefill
  static Placement at(StationId s) { return {kPlaced, s, s}; }
  static Placement split(StationId prefill, StationId decode) { return {kPlaced, prefill, decode}; }
  static Placement hold() { return {kHold, {}, {}}; }       ///< asked again when a phase changes or a call ends
  static Placement reject() { return {kReject, {}, {}}; }
};

class ClusterPolicy {
 public:
  virtual ~ClusterPolicy() = default;
  virtual Placement route(CallId, Cluster&, Rng) = 0;
  /// The prompt of a call is done at `at`, and route() left open where it decodes. `at` itself: it stays. Invalid: it
  /// waits there with its KV, and is asked about again as for Placement::hold.
  virtual StationId decode_at(CallId, StationId at, const Cluster&, Rng) { return at; }
  /// May its KV come to `to` now? Asked in the order in which calls wait for it, when something changed there; the KV
  /// stays where it is until yes (DistServe's pull). Default: there is room for it and for one more token.
  virtual bool accepts(CallId, StationId to, Tokens context, const Cluster&) const;
  /// Does the answer of accepts() change as calls decode, too? Then it is asked after every iteration while calls wait.
  virtual bool accepts_by_progress() const { return false; }
  virtual Transfer transfer(CallId, const Cluster&) const { return Transfer::kSerialized; }
  virtual LiveMove live_move() const { return {}; }                  ///< asked at the end of every stage
  virtual Duration tick() const { return Duration{}; }               ///< period of on_tick; zero: never
  virtual void on_tick(Cluster&) {}
  virtual void on_phase(StationId, Phase /*before*/, Cluster&) {}    ///< an instance changed its phase
  virtual void on_idle(StationId, Cluster&) {}                       ///< no call is left at an instance
  /// Nodes have come, will go or are gone (what still stands on these stops after this). True: that is all. False:
  /// pools on nodes fill what is free, and instances on announced nodes are announced.
  virtual bool on_nodes(std::span<const std::int32_t>, NodeChange, Cluster&) { return false; }
  virtual bool random() const { return false; }                      ///< draws from the Rng it is given
  /// Does it say itself how long instances without calls stay (Lifecycle)? Else the engine does, where a pool states
  /// it.
  virtual bool keeps_alive() const { return false; }
};

}  // namespace orrery
