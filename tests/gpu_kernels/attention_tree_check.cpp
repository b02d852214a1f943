#include "kernels/attention_tree/attention_tree_gpu.hpp"

#include <gtest/gtest.h>

#include "tests/gpu_kernels/attention_cases.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class TreeAttention : public GpuCheck {};

constexpr int kText = 5;

/// Masks of a random tree.
std::vector<std::uint64_t> random_masks(int nodes, std::size_t salt) {
  std::vector<std::uint64_t> masks;
  for (int i = 0; i < nodes; ++i) {
    const auto parent = static_cast<int>(mix64(salted("tree") + 1000 * salt + static_cast<std::uint64_t>(i)) %
                                         static_cast<std::uint64_t>(i + 1)) - 1;
    masks.push_back((parent < 0 ? 0 : masks[static_cast<std::size_t>(parent)]) | 1ull << i);
  }
  return masks;
}

struct TreeShapeCase {
  AttentionShape shape;
  SplitRule rule;
  int page_tokens;
};

TEST_F(TreeAttention, IsTheReference) {
  const std::vector<std::int32_t> contexts = {0, 63, 64, 200}, sizes = {1, 17, 64, 40};
  for (const TreeShapeCase& c : {TreeShapeCase{{4, 2, 64}, SplitRule::kFixedSize, 16},
                                 TreeShapeCase{{4, 1, 128}, SplitRule::kFixedSize, 64},
                                 TreeShapeCase{{3, 1, 64}, SplitRule::kNone, 48}}) {
    std::vector<Held> held;
    std::vector<std::int32_t> offsets{0}, tokens, parts{0};
    std::vector<std::uint64_t> masks;
    std::vector<std::pair<int, std::int64_t>> rows;
    for (std::size_t s = 0; s < contexts.size(); ++s) {
      tokens.push_back(contexts[s] + sizes[s]);
      held.push_back({kText, tokens.back()});
      for (std::uint64_t m : random_masks(sizes[s], s)) masks.push_back(m);
      for (int i = 0; i < sizes[s]; ++i) rows.emplace_back(kText, contexts[s] + i);
      offsets.push_back(static_cast<std::int32_t>(rows.size()));
    }
    const LaunchPlan plan = plan_decode({.contexts = tokens, .kv_heads = c.shape.kv_heads, .units = 16, .block = 64,
                                         .rule = c.rule, .split_blocks = 2});
    for (std::size_t s = 0; s < sizes.size(); ++s) parts.push_back(parts.back() + plan.splits[s] * sizes[s]);

    TestKv<double> reference_kv(held, c.page_tokens, c.shape);
    const auto reference_q = queries_of<double>(c.shape, rows);
    std::vector<double> expected(reference_q.size());
    orrery::attention_tree(TreeArgs<double>{.q = reference_q.data(), .out = expected.data(),
                                            .node_offset = offsets.data(), .context = contexts.data(),
                                            .mask = masks.data(), .kv = reference_kv.view(), .sequences = 4,
                                            .heads = c.shape.heads, .scale = c.shape.scale()});

    TestKv<Bf16> host_kv(held, c.page_tokens, c.shape);
    const DeviceKv kv(host_kv, host_kv.view().max_pages);
    const DeviceBuffer<Bf16> q(queries_of<Bf16>(c.shape, rows), "q");
    const DeviceBuffer<std::int32_t> node_offset(offsets, "node offsets"), context(contexts, "contexts");
    const DeviceBuffer<std::uint64_t> mask(masks, "masks");
    const DeviceBuffer<LaunchTile> tiles(plan.tiles, "tiles");
    DevicePartials partials(parts, c.shape.heads, c.shape.head_dim);
    DeviceBuffer<Bf16> out(q.size(), "out");
    out.poison();
    attention_tree({.q = q.data(), .out = out.data(), .node_offset = node_offset.data(), .context = context.data(),
                    .mask = mask.data(), .kv = kv.view, .sequences = 4, .heads = c.shape.heads,
                    .scale = static_cast<float>(c.shape.scale())},
                   {.tiles = tiles.data(), .tile_count = static_cast<std::int64_t>(plan.tiles.size()),
                    .most_nodes = 64, .partials = partials.view()}, nullptr);
    EXPECT_LT(relative_error(out.download(), expected), kBf16Bound)
        << c.shape.heads << " heads of " << c.shape.head_dim;
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
