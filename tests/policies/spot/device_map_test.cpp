/// The device mapper against all mappings, and the bytes of changes that can be worked out by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "policies/spot/device_map.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Slots and nodes of `per_node` for a whole layout of `replicas` on nodes that hold what `held` says.
std::vector<std::vector<Position>> slots_of(int layers, int pp, int tp, int replicas, std::size_t per_node,
                                            const std::vector<std::vector<int>>& groups = {}) {
  std::vector<std::vector<Position>> slots;
  std::vector<Position> all;
  for (int d = 0; d < replicas; ++d)
    for (int stage = 0; stage < pp; ++stage)
      for (int shard = 0; shard < tp; ++shard)
        all.push_back({part_of(layers, pp, stage, tp, shard),
                       groups.empty() ? std::vector<int>{} : groups[static_cast<std::size_t>(d)]});
  for (std::size_t i = 0; i < all.size(); i += per_node)
    slots.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i),
                       all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), i + per_node)));
  return slots;
}

std::vector<std::vector<DeviceState>> nodes_holding(const std::vector<std::vector<Position>>& slots, int group = -1) {
  std::vector<std::vector<DeviceState>> nodes;
  for (const auto& slot : slots) {
    nodes.emplace_back();
    for (const Position& p : slot) nodes.back().push_back({p.part, group});
  }
  return nodes;
}

TEST(DeviceMap, PartsDivideTheModel) {
  for (const auto& [layers, pp, tp] : {std::tuple{44, 3, 4}, {44, 2, 8}, {48, 4, 1}, {7, 3, 2}}) {
    std::int64_t cells = 0;
    for (int p = 0; p < pp; ++p)
      for (int m = 0; m < tp; ++m) cells += part_of(layers, pp, p, tp, m).cells();
    EXPECT_EQ(cells, std::int64_t{layers} * ModelPart::kSlices);
  }
}

/// The same layout on the same devices, in any order of nodes: nothing moves.
TEST(DeviceMap, WhatIsThereStays) {
  DeviceMapInput in;
  in.layers = 48;
  in.weight_bytes = 48'000;
  in.slots = slots_of(48, 2, 8, 2, 4);
  in.nodes = nodes_holding(in.slots);
  std::reverse(in.nodes.begin(), in.nodes.end());
  const DeviceMap map = map_devices(in);
  EXPECT_EQ(map.worst_bytes, 0);
  EXPECT_EQ(map.kept_bytes, 2 * 48'000);
  EXPECT_TRUE(map.complete);
}

/// From two stages of eight shards on four nodes to three stages of four shards on three, 1,000 bytes a layer. A device
/// held an eighth of 24 layers and shall hold a quarter of 16; the four eighths of a node lie in two of the quarters,
/// so two devices of a node find half of what they need: 4,000 of 16,000 bytes. Of the layers in the middle each old
/// stage had but half: there 14,000 are missing.
TEST(DeviceMap, AnotherShapeFindsWhatOverlaps) {
  DeviceMapInput in;
  in.layers = 48;
  in.weight_bytes = 48'000;
  in.nodes = nodes_holding(slots_of(48, 2, 8, 1, 4));
  in.slots = slots_of(48, 3, 4, 1, 4);
  const DeviceMap map = map_devices(in);
  EXPECT_EQ(map.worst_bytes, 14'000);
  EXPECT_EQ(map.kept_bytes, 4'000 + 2'000 + 4'000);
  EXPECT_TRUE(map.complete);
}

/// A spare that holds nothing takes over one of four nodes: all of that node's quarter comes to it.
TEST(DeviceMap, ASpareGetsAllOfItsPart) {
  DeviceMapInput in;
  in.layers = 48;
  in.weight_bytes = 48'000;
  in.slots = slots_of(48, 2, 8, 1, 4);
  in.nodes = nodes_holding(in.slots);
  in.others = in.nodes[1];   // announced: it can give, but takes nothing
  in.nodes[1].assign(4, {});
  EXPECT_EQ(map_devices(in).worst_bytes, 12'000);
  EXPECT_TRUE(map_devices(in).complete);
  in.others.clear();         // gone without a word
  EXPECT_FALSE(map_devices(in).complete);
}

/// Two pipelines hold the same parameters: the one whose calls go on stays with its KV.
TEST(DeviceMap, KvDecidesBetweenEqualParameters) {
  DeviceMapInput in;
  in.layers = 4;
  in.weight_bytes = 4'000;
  in.kv_bytes = {0, 400};
  in.slots = slots_of(4, 1, 4, 1, 4, {{1}});
  in.nodes = {nodes_holding(in.slots, 0)[0], nodes_holding(in.slots, 1)[0]};
  const DeviceMap map = map_devices(in);
  EXPECT_EQ(map.node_of, std::vector<int>{1});
  EXPECT_EQ(map.worst_bytes, 0);
  in.nodes.pop_back();       // else the KV has to come
  EXPECT_EQ(map_devices(in).worst_bytes, 400);
}

std::int64_t kept_by(const DeviceMapInput& in, const std::vector<int>& nodes) {
  std::int64_t kept = 0;
  for (std::size_t s = 0; s < in.slots.size(); ++s) {
    const auto& node = in.nodes[static_cast<std::size_t>(nodes[s])];
    std::vector<std::size_t> devices(node.size());
    std::iota(devices.begin(), devices.end(), 0);
    std::int64_t best = 0;
    do {
      std::int64_t bytes = 0;
      for (std::size_t p = 0; p < in.slots[s].size(); ++p)
        bytes += in.weight_bytes * shared_cells(node[devices[p]].part, in.slots[s][p].part) /
                 (in.layers * ModelPart::kSlices);
      best = std::max(best, bytes);
    } while (std::next_permutation(devices.begin(), devices.end()));
    kept += best;
  }
  return kept;
}

TEST(DeviceMap, IsTheBestOfAllMappings) {
  Rng rng(3, Purpose::kFuzz, 1);
  for (int i = 0; i < 60; ++i) {
    DeviceMapInput in;
    in.layers = 4 + static_cast<int>(rng.below(8));
    in.weight_bytes = in.layers * ModelPart::kSlices * 10;
    const int tp = 1 << rng.below(3), pp = 1 + static_cast<int>(rng.below(3));
    in.slots = slots_of(in.layers, pp, tp, 1, 3);
    for (std::size_t n = 0; n < in.slots.size() + 1 && n < 5; ++n) {
      in.nodes.emplace_back();
      for (int d = 0; d < 3; ++d) {
        const int from = 1 << rng.below(3), stages = 1 + static_cast<int>(rng.below(3));
        in.nodes.back().push_back(
            {part_of(in.layers, stages, static_cast<int>(rng.below(static_cast<std::uint64_t>(stages))), from,
                     static_cast<int>(rng.below(static_cast<std::uint64_t>(from)))),
             -1});
      }
    }
    if (in.nodes.size() < in.slots.size()) continue;
    std::vector<int> order(in.nodes.size());
    std::iota(order.begin(), order.end(), 0);
    std::int64_t best = 0;
    do best = std::max(best, kept_by(in, order));
    while (std::next_permutation(order.begin(), order.end()));
    ASSERT_EQ(map_devices(in).kept_bytes, best) << i;
  }
}

}  // namespace
}  // namespace orrery
