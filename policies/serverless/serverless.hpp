/// What serverless systems do alike: many models share the devices of one pool, each instance holds one model at a
/// time, and comes and goes with the calls for it.
///
/// A call goes to an instance that serves its model and has fewer than `concurrency` calls; else it is held. Once in
/// `interval` the held calls are looked at, first come first served; for each that no load under way is for, the system
/// (place_load) says on which device its model is loaded. An instance without calls stays for its keep-alive, which is
/// the time its load took where the pool's lifecycle states none; then its device is free. `lifecycle.min` of them
/// stay.
///
/// Defaults: one call an instance, a round a second (authors' repository: autoscaling target 1, control loop of
/// `storage_aware_scheduler.py`); keep-alive as in the ServerlessLLM paper, section 7.4. Works on the first pool; start
/// it with "serving": 0, or its instances are free devices anyway.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "policies/serverless/weight_store.hpp"
#include "sim/cluster.hpp"
#include "sim/config/describe.hpp"

namespace orrery {

struct ServerlessConfig {
  Duration interval{1s};      ///< between looks at the held calls
  int concurrency = 1;        ///< calls that an instance is given at a time
};
void describe(Describer&, ServerlessConfig&);

class Serverless : public ClusterPolicy {
 public:
  Placement route(CallId, Cluster&, Rng) final;
  void on_tick(Cluster&) final;
  void on_phase(StationId, Phase before, Cluster&) final;
  void on_idle(StationId, Cluster&) final;
  bool keeps_alive() const final { return true; }

 protected:
  Serverless(ServerlessConfig config, Cache cache) : config_(config), cache_(cache) {}

  /// Starts a load of the call's model, or sees to it that a device becomes free for it. False: not now.
  virtual bool place_load(CallId, Cluster&) = 0;
  virtual void on_round(Cluster&) {}                      ///< before the held calls are looked at
  virtual void on_serving(StationId, Cluster&) {}         ///< its weights are there
  virtual void on_hold(CallId, Cluster&, Rng) {}
  virtual void on_placed(CallId, StationId, const Cluster&) {}

  const WeightStore& store() const { return *store_; }
  std::span<const Instance> instances(const Cluster& c) const { return c.instances(PoolId{0}); }
  /// Nothing is on its device, and nothing will be.
  bool free(const Instance&) const;
  /// Serves, has nothing to do and is there for no model that waits.
  bool warm(const Instance&) const;
  /// Serves, has one call and is not going to be cleared.
  bool runs_one(const Instance&) const;
  /// The first free instance on a server; invalid if there is none.
  StationId free_on(std::int32_t server, const Cluster&) const;
  static std::int32_t servers(const Cluster& c) {
    return std::max<std::int32_t>(1, static_cast<std::int32_t>(c.servers().size()));
  }
  /// Loads a model on a free instance: for a call that waits, or for one that moves there.
  enum class For : std::uint8_t { kWaiting, kMoving };
  void load(StationId, std::int32_t model, Cluster&, For = For::kWaiting);
  /// The instance gets another model as soon as it has no calls; at once if it is warm.
  void reserve(StationId, std::int32_t model, Cluster&);
  /// It stops at once; its calls are held again. Its device gets another model.
  void preempt(StationId, std::int32_t model, Cluster&);
  void look_again(Cluster&);                              ///< at the next round

 private:
  struct Slot {
    Time idle_since = kNever;
    Duration keep_alive{};
    std::int32_t next_model = -1;   ///< is to be loaded when its calls have gone
    bool moving = false;            ///< its load is for a call that runs elsewhere
    bool lost = false;              ///< taken away
  };
  Slot& slot(StationId s) { return slots_[static_cast<std::size_t>(s.index)]; }
  const Slot& slot(StationId s) const { return slots_[static_cast<std::size_t>(s.index)]; }
  void learn(const Cluster&);
  void expire(Cluster&);
  void round(Cluster&);
  void idles(StationId, Cluster&);

  ServerlessConfig config_;
  Cache cache_;
  std::optional<WeightStore> store_;
  std::vector<Slot> slots_;                ///< by station
  Time next_round_ = kNever;               ///< kNever: nothing waits
  bool preempting_ = false;
  std::vector<std::int32_t> coming_;       ///< scratch: calls that loads under way are for, by model
};

}  // namespace orrery
