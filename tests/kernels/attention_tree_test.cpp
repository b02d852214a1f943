#include "kernels/attention_tree/attention_tree.hpp"

#include <gtest/gtest.h>

#include "kernels/attention_prefill/attention_prefill.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

constexpr AttentionShape kShape;
constexpr int kText = 5;

/// A random tree: parent of each node, -1 for children of the context.
std::vector<int> random_tree(int nodes, int salt) {
  std::vector<int> parent;
  for (int i = 0; i < nodes; ++i)
    parent.push_back(static_cast<int>(mix64(salted("tree") + 1000 * salt + i) % (i + 1)) - 1);
  return parent;
}

std::vector<int> path_to(const std::vector<int>& parent, int node) {
  std::vector<int> path;
  for (; node >= 0; node = parent[node]) path.insert(path.begin(), node);
  return path;
}

std::vector<std::uint64_t> masks_of(const std::vector<int>& parent) {
  std::vector<std::uint64_t> masks;
  for (std::size_t i = 0; i < parent.size(); ++i) masks.push_back((parent[i] < 0 ? 0 : masks[parent[i]]) | 1ull << i);
  return masks;
}

template <class T>
class Tree : public testing::Test {};
using Formats = testing::Types<float, Bf16, double>;
TYPED_TEST_SUITE(Tree, Formats);

TYPED_TEST(Tree, ANodeEqualsPlainDecodingAlongItsPath) {
  using T = TypeParam;
  const std::vector<std::int32_t> contexts = {0, 63, 64, 130}, sizes = {1, 17, 64, 40};
  std::vector<Held> held;
  std::vector<std::int32_t> offsets{0};
  std::vector<std::vector<int>> trees;
  std::vector<std::uint64_t> masks;
  std::vector<std::pair<int, std::int64_t>> rows;
  for (std::size_t s = 0; s < contexts.size(); ++s) {
    held.push_back({kText, contexts[s] + sizes[s]});
    trees.push_back(random_tree(sizes[s], static_cast<int>(s)));
    for (std::uint64_t m : masks_of(trees[s])) masks.push_back(m);
    for (int i = 0; i < sizes[s]; ++i) rows.emplace_back(kText, contexts[s] + i);
    offsets.push_back(static_cast<std::int32_t>(rows.size()));
  }
  TestKv<T> kv(held, 16, kShape);
  const auto q = queries_of<T>(kShape, rows);
  auto out = poisoned<T>(q.size());
  attention_tree(TreeArgs<T>{.q = q.data(),
                             .out = out.data(),
                             .node_offset = offsets.data(),
                             .context = contexts.data(),
                             .mask = masks.data(),
                             .kv = kv.view(),
                             .sequences = 4,
                             .heads = kShape.heads,
                             .scale = static_cast<Accum<T>>(kShape.scale())});
  for (std::size_t s = 0; s < contexts.size(); ++s) {
    for (int node = 0; node < sizes[s]; ++node) {
      const auto path = path_to(trees[s], node);
      const auto depth = static_cast<std::int32_t>(path.size());
      TestKv<T> line({{kText, contexts[s] + depth}}, 16, kShape);
      std::vector<std::int64_t> seen = first_tokens(contexts[s]);
      for (int i = 0; i < depth; ++i) {
        line.write(0, contexts[s] + i, kText, contexts[s] + path[i]);
        seen.push_back(contexts[s] + path[i]);
      }
      const auto row = queries_of<T>(kShape, {{kText, contexts[s] + node}});
      auto expected = poisoned<T>(row.size());
      const std::vector<std::int32_t> one{1}, before{contexts[s] + depth - 1}, offset{0, 1};
      const LaunchPlan plan = plan_prefill({.queries = one, .contexts = before, .kv_heads = kShape.kv_heads});
      attention_prefill(PrefillArgs<T>{.q = row.data(),
                                       .out = expected.data(),
                                       .q_offset = offset.data(),
                                       .context = before.data(),
                                       .kv = line.view(),
                                       .sequences = 1,
                                       .heads = kShape.heads,
                                       .q_stride = 0,
                                       .scale = static_cast<Accum<T>>(kShape.scale()),
                                       .tiles = plan.tiles.data(),
                                       .tile_count = static_cast<std::int64_t>(plan.tiles.size())});
      const auto got = row_of(out, kShape, offsets[s] + node);
      ASSERT_TRUE(same_bits(got, std::span<const T>(expected))) << "tree " << s << " node " << node;
      const auto formula = plain_attention(kShape, kText, contexts[s] + node, seen);
      ASSERT_LT(relative_error(got, std::span<const double>(formula)), bound<T>());
    }
  }
}

}  // namespace
}  // namespace orrery
