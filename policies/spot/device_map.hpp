/// The device mapper and the cost of a migration in SpotServe (ASPLOS'24): which device takes
/// which position of the new layout, so that as many bytes of parameters and KV as possible stay where they are.
///
/// A position is a part of the model: a range of layers (the stage) times a slice of each (the shard). The weight
/// between a device and a position is what the device holds already of both the parameters and the KV of the calls that
/// go on there. Kuhn and Munkres at two levels: positions that stand together on a node to the node's devices, then
/// nodes to nodes. What is missing comes over the node's network: T = max over nodes of missing bytes / bandwidth. A
/// part that no device holds any more has to be loaded anew.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"

namespace orrery {

/// Layers [layer0, layer1) times slices [slice0, slice1) of kSlices.
struct ModelPart {
  static constexpr int kSlices = 64;
  int layer0 = 0, layer1 = 0, slice0 = 0, slice1 = 0;

  std::int64_t cells() const { return std::int64_t{layer1 - layer0} * (slice1 - slice0); }
  bool empty() const { return cells() == 0; }
};

/// Stage `stage` of `pp`, shard `shard` of `tp`; tp divides kSlices.
ModelPart part_of(int layers, int pp, int stage, int tp, int shard);
std::int64_t shared_cells(const ModelPart& a, const ModelPart& b);

struct DeviceState {
  ModelPart part;                         ///< of the parameters it holds; empty: none
  int group = -1;                         ///< the pipeline whose KV it holds the same part of
};

struct Position {
  ModelPart part;
  std::vector<int> groups;                ///< pipelines whose calls go on here
};

struct DeviceMapInput {
  int layers = 1;
  std::int64_t weight_bytes = 0;          ///< of the model
  std::vector<std::int64_t> kv_bytes;     ///< by group, of the whole pipeline
  std::vector<std::vector<Position>> slots;         ///< positions that stand on one node together
  std::vector<std::vector<DeviceState>> nodes;      ///< at least as many as slots, each with as many devices at least
  std::vector<DeviceState> others;        ///< devices that take no position but can give what they hold
};

struct DeviceMap {
  std::vector<int> node_of;               ///< by slot
  std::vector<std::vector<int>> device_of;   ///< by slot and position
  std::int64_t kept_bytes = 0;            ///< the sum of weights
  std::int64_t worst_bytes = 0;           ///< that one node has to get, the most
  bool complete = true;                   ///< every part of the model is held by some device
};

/// O(slots * nodes * devices^3 + slots^2 * nodes).
DeviceMap map_devices(const DeviceMapInput& input);

}  // namespace orrery
