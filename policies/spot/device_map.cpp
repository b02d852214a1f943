#include "policies/spot/device_map.hpp"

#include <algorithm>

#include "sim/base/assignment.hpp"

namespace orrery {
namespace {

std::int64_t total_cells(const DeviceMapInput& in) { return std::int64_t{in.layers} * ModelPart::kSlices; }

std::int64_t share(std::int64_t bytes, std::int64_t cells, const DeviceMapInput& in) {
  return static_cast<std::int64_t>(static_cast<Wide>(bytes) * cells / total_cells(in));
}

/// Bytes that the device holds of what the position needs.
std::int64_t reusable(const DeviceState& d, const Position& p, const DeviceMapInput& in) {
  const std::int64_t cells = shared_cells(d.part, p.part);
  std::int64_t bytes = share(in.weight_bytes, cells, in);
  if (std::find(p.groups.begin(), p.groups.end(), d.group) != p.groups.end())
    bytes += share(in.kv_bytes[static_cast<std::size_t>(d.group)], cells, in);
  return bytes;
}

std::int64_t needed(const Position& p, const DeviceMapInput& in) {
  std::int64_t bytes = share(in.weight_bytes, p.part.cells(), in);
  for (const int g : p.groups) bytes += share(in.kv_bytes[static_cast<std::size_t>(g)], p.part.cells(), in);
  return bytes;
}

struct Inside {
  std::vector<int> device_of;
  std::int64_t bytes = 0;
};

Inside map_inside(const std::vector<Position>& slot, const std::vector<DeviceState>& node, const DeviceMapInput& in) {
  const auto weight = [&](int p, int d) {
    return reusable(node[static_cast<std::size_t>(d)], slot[static_cast<std::size_t>(p)], in);
  };
  Inside best;
  best.device_of = best_assignment(static_cast<int>(slot.size()), static_cast<int>(node.size()), weight);
  for (std::size_t p = 0; p < slot.size(); ++p) best.bytes += weight(static_cast<int>(p), best.device_of[p]);
  return best;
}

bool all_parts_held(const DeviceMapInput& in) {
  std::vector<bool> held(static_cast<std::size_t>(total_cells(in)));
  const auto mark = [&](const DeviceState& d) {
    for (int l = d.part.layer0; l < d.part.layer1; ++l)
      for (int s = d.part.slice0; s < d.part.slice1; ++s)
        held[static_cast<std::size_t>(l * ModelPart::kSlices + s)] = true;
  };
  for (const auto& node : in.nodes) std::for_each(node.begin(), node.end(), mark);
  std::for_each(in.others.begin(), in.others.end(), mark);
  return std::find(held.begin(), held.end(), false) == held.end();
}

}  // namespace

ModelPart part_of(int layers, int pp, int stage, int tp, int shard) {
  return {layers * stage / pp, layers * (stage + 1) / pp,
          ModelPart::kSlices * shard / tp, ModelPart::kSlices * (shard + 1) / tp};
}

std::int64_t shared_cells(const ModelPart& a, const ModelPart& b) {
  const int layers = std::min(a.layer1, b.layer1) - std::max(a.layer0, b.layer0);
  const int slices = std::min(a.slice1, b.slice1) - std::max(a.slice0, b.slice0);
  return layers <= 0 || slices <= 0 ? 0 : std::int64_t{layers} * slices;
}

DeviceMap map_devices(const DeviceMapInput& in) {
  std::vector<std::vector<Inside>> inside(in.slots.size());
  for (std::size_t s = 0; s < in.slots.size(); ++s)
    for (const auto& node : in.nodes) inside[s].push_back(map_inside(in.slots[s], node, in));
  DeviceMap map;
  const auto weight = [&](int s, int n) {
    return inside[static_cast<std::size_t>(s)][static_cast<std::size_t>(n)].bytes;
  };
  map.node_of = best_assignment(static_cast<int>(in.slots.size()), static_cast<int>(in.nodes.size()), weight);
  for (std::size_t s = 0; s < in.slots.size(); ++s) {
    Inside& chosen = inside[s][static_cast<std::size_t>(map.node_of[s])];
    std::int64_t all = 0;
    for (const Position& p : in.slots[s]) all += needed(p, in);
    map.kept_bytes += chosen.bytes;
    map.worst_bytes = std::max(map.worst_bytes, all - chosen.bytes);
    map.device_of.push_back(std::move(chosen.device_of));
  }
  map.complete = all_parts_held(in);
  return map;
}

}  // namespace orrery
