/// SpotServe: serving on machines that are taken away (Miao et al., ASPLOS'24, arXiv 2311.15566; authors' code, branch
/// artifact). On every notice and every new node:
///   1. the controller chooses a layout for the nodes that will be there (parallelization.hpp);
///   2. the device mapper puts it on devices so that most parameters and KV stay where they are (device_map.hpp);
///   3. the interruption arranger lets the old layout decode as long as there is time: until the migration just ends
///      before the deadline of a node that goes, or until a new node is ready. A node that is ready when another is
///      about to go (within `merge`) waits for that change;
///   4. requests are committed with every token: they go on where they were, with their KV, and pipelines that the
///      change does not touch go on meanwhile. Where the new layout has less room, those with most tokens keep their KV.
///
/// Defaults: migration = max over nodes of missing bytes / 50 Gb/s + 0.5 s, merge 30 s, requests of 512 tokens with 128
/// of output (authors' code). New nodes take the pool's start delay to become ready, and serve nobody until then.
/// Modelled: the four above; a notice too short for the migration (KV on the node is lost, weights are kept); a part of
/// the model that no device holds any more (reload: the pool's start delay).
/// Not modelled: the memory limit and the layer order of a migration, stages that start before it ends, and orders of
/// machines (on demand, two spare): the capacity trace says what there is, and what a layout leaves over is the spare.
/// The iteration under way at a change is lost, as it could not have ended in time.
///
///   "cluster": {"pools": [{"name": "t8p2b4", "tp": 8, "pp": 2, "replicas": 3,
///                          "policy": {"batching": {"name": "vllm", "max_running": 4}},
///                          "lifecycle": {"engine_init": "60s"}}, ...]},
///   "signals": {"capacity": {"file": "zone.csv", "grace": "30s", "gpus_per_node": 4}},
///   "policy": {"cluster": {"name": "spotserve", "rate": 0.4}}
#pragma once

#include <vector>

#include "policies/spot/device_map.hpp"
#include "policies/spot/elastic.hpp"

namespace orrery {

struct SpotServeConfig : ElasticConfig {
  double bandwidth = 6.25e9;                               ///< of a node, bytes a second
  Duration fixed = std::chrono::milliseconds(500);         ///< of each migration
  Duration merge = std::chrono::seconds(30);               ///< a node that comes waits so long for one that goes
};
void describe(Describer&, SpotServeConfig&);

class SpotServe final : public Elastic {
 public:
  using Config = SpotServeConfig;
  explicit SpotServe(const SpotServeConfig& config) : Elastic(config), config_(config) {}
  bool on_nodes(std::span<const std::int32_t>, NodeChange, Cluster&) override;
  void on_tick(Cluster&) override;

 protected:
  StationId place(const Cluster&) const override;
  StationId place_committed(CallId, const Cluster&) override;
  void on_rate(Cluster&) override;
  std::int64_t reserved(StationId, const Cluster&) const override;

 private:
  /// A layout with its devices, and how long it takes to get there.
  struct Plan {
    Choice choice;
    std::vector<StationId> kept, stopped;        ///< of the instances that run
    std::vector<StationId> started;
    std::vector<std::vector<std::int32_t>> nodes;   ///< of each that is started, in order
    std::vector<std::vector<int>> inherits;         ///< of each that is started: whose calls go on there
    std::vector<std::int32_t> slot_node;            ///< the node of each slot of the map
    std::vector<std::vector<Position>> slots;
    DeviceMap map;
    std::size_t devices = 1;                     ///< of a pipeline
    Duration time{};                             ///< until it serves
  };
  /// A call that keeps its KV, and where it will go on.
  struct Kept {
    CallId id;
    StationId to;
  };

  bool usable(std::int32_t node, const Cluster&) const;
  /// `full`: with as much KV as the old layout may come to have.
  Plan plan(const Cluster&, bool full);
  void divide(Plan&, const Cluster&) const;
  void map(Plan&, const Cluster&, bool full) const;
  Duration migration(const Plan&, const Cluster&) const;
  std::int64_t kv_bytes(StationId, const Cluster&, bool full) const;
  void arrange(Cluster&);
  void change(Cluster&);
  std::vector<CallId> keep_calls(const Plan&, const std::vector<StationId>& committing, const Cluster&);
  void put_down(const Plan&);

  SpotServeConfig config_;
  std::vector<std::vector<DeviceState>> held_;   ///< by node and device
  std::vector<Time> ready_;                      ///< by node
  std::vector<std::uint8_t> fresh_;              ///< by node: has not been looked at since it was ready
  std::vector<Kept> kept_;
  Choice current_;
  bool changing_ = false;
};

}  // namespace orrery
