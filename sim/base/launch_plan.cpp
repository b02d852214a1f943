#include "sim/base/launch_plan.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace orrery {
namespace {


std::int32_t blocks_of(std::int32_t tokens, std::int32_t block) { return (tokens + block - 1) / block; }

std::int64_t ceil_of(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Longest first; equal ones keep their order, so that plans are reproducible.
void finish(LaunchPlan& plan) {
  std::stable_sort(plan.tiles.begin(), plan.tiles.end(),
                   [](const LaunchTile& a, const LaunchTile& b) { return a.blocks() > b.blocks(); });
  for (const LaunchTile& tile : plan.tiles) {
    plan.total_blocks += tile.blocks();
    plan.longest = std::max(plan.longest, tile.blocks());
  }
}

std::int32_t splits_of(std::int32_t blocks, std::int32_t size, std::int32_t max_splits) {
  return std::max(1, std::min(max_splits, blocks_of(blocks, size)));
}

/// The smallest split size whose tiles stay within the bound, or the whole of the longest row.
std::int32_t size_within(const DecodeShape& shape, std::int64_t bound) {
  std::int32_t low = 1, high = 1;
  for (std::int32_t context : shape.contexts) high = std::max(high, blocks_of(context, shape.block));
  while (low < high) {
    const std::int32_t size = low + (high - low) / 2;
    std::int64_t tiles = 0;
    for (std::int32_t context : shape.contexts) {
      tiles += static_cast<std::int64_t>(splits_of(blocks_of(context, shape.block), size, shape.max_splits)) *
               shape.kv_heads;
    }
    if (tiles <= bound) high = size;
    else low = size + 1;
  }
  return low;
}

}  // namespace

std::int64_t LaunchPlan::makespan(std::int32_t units) const {
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> ends;
  for (std::int32_t i = 0; i < units; ++i) ends.push(0);
  std::int64_t last = 0;
  for (const LaunchTile& tile : tiles) {
    const std::int64_t end = ends.top() + tile.blocks();
    ends.pop();
    ends.push(end);
    last = std::max(last, end);
  }
  return last;
}

std::int32_t splits_for_waves(std::int64_t tiles, std::int32_t units, std::int32_t blocks, std::int32_t max_splits) {
  if (10 * tiles >= 8 * static_cast<std::int64_t>(units) || blocks <= 4) return 1;
  const std::int32_t most = std::min({max_splits, units, blocks});
  const auto filled = [&](std::int32_t s) {           // tiles * s / (waves * units), as a fraction of the last term
    const std::int64_t all = tiles * s;
    return std::pair{all, ceil_of(all, units) * units};
  };
  std::int32_t best = 1;
  for (std::int32_t s = 2; s <= most; ++s) {
    const auto [a, b] = filled(s);
    const auto [c, d] = filled(best);
    if (a * d > c * b) best = s;
  }
  const auto [c, d] = filled(best);
  for (std::int32_t s = 1; s <= most; ++s) {
    const auto [a, b] = filled(s);
    if (100 * a * d >= 85 * c * b) return s;
  }
  return 1;
}

LaunchPlan plan_decode(const DecodeShape& shape) {
  LaunchPlan plan;
  const auto rows = static_cast<std::int64_t>(shape.contexts.size()) * shape.kv_heads;
  const std::int64_t bound = shape.max_tiles ? shape.max_tiles : std::max<std::int64_t>(rows, 2 * shape.units);
  const bool same =
      std::adjacent_find(shape.contexts.begin(), shape.contexts.end(), std::not_equal_to<>()) == shape.contexts.end();
  std::int32_t size = shape.split_blocks;
  if (shape.rule == SplitRule::kFillUnits && !shape.contexts.empty()) {
    size = size_within(shape, bound);
    if (same) {   // equal rows: whole waves matter more than equal shares
      const std::int32_t blocks = std::max(1, blocks_of(shape.contexts[0], shape.block));
      const std::int32_t splits = splits_for_waves(rows, shape.units, blocks, shape.max_splits);
      if (rows * splits <= bound) size = blocks_of(blocks, splits);
    }
  }
  for (std::size_t s = 0; s < shape.contexts.size(); ++s) {
    const std::int32_t blocks = blocks_of(shape.contexts[s], shape.block);
    std::int32_t splits = shape.rule == SplitRule::kNone ? 1 : splits_of(blocks, size, shape.max_splits);
    // Whole sizes from the front, so that under kFixedSize a row's parts depend on its own length alone.
    const std::int32_t each = shape.rule == SplitRule::kNone ? blocks : std::max(size, blocks_of(blocks, splits));
    splits = std::max(1, each ? blocks_of(blocks, each) : 1);
    plan.splits.push_back(splits);
    for (std::int32_t h = 0; h < shape.kv_heads; ++h) {
      for (std::int32_t i = 0; i < splits; ++i) {
        plan.tiles.push_back({.sequence = static_cast<std::int32_t>(s), .kv_head = h, .q_begin = 0, .q_end = 1,
                              .block_begin = i * each, .block_end = std::min(blocks, (i + 1) * each),
                              .split = i, .splits = splits, .decode = true});
      }
    }
  }
  finish(plan);
  return plan;
}

LaunchPlan plan_prefill(const PrefillShape& shape) {
  LaunchPlan plan;
  for (std::size_t s = 0; s < shape.queries.size(); ++s) {
    plan.splits.push_back(1);
    for (std::int32_t q = 0; q < shape.queries[s]; q += shape.rows) {
      const std::int32_t end = std::min(shape.queries[s], q + shape.rows);
      for (std::int32_t h = 0; h < shape.kv_heads; ++h) {
        plan.tiles.push_back({.sequence = static_cast<std::int32_t>(s), .kv_head = h, .q_begin = q, .q_end = end,
                              .block_begin = 0, .block_end = blocks_of(shape.contexts[s] + end, shape.block),
                              .split = 0, .splits = 1, .decode = false});
      }
    }
  }
  finish(plan);
  return plan;
}

LaunchPlan plan_mixed(const LaunchPlan& prefill, const LaunchPlan& decode) {
  LaunchPlan plan;
  plan.splits = prefill.splits;
  plan.splits.insert(plan.splits.end(), decode.splits.begin(), decode.splits.end());
  plan.total_blocks = prefill.total_blocks + decode.total_blocks;
  plan.longest = std::max(prefill.longest, decode.longest);
  const std::size_t a = prefill.tiles.size(), b = decode.tiles.size();
  plan.tiles.reserve(a + b);
  for (std::size_t i = 0, j = 0; i < a || j < b;) {
    if (j == b || (i < a && i * b <= j * a)) {       // keep i / a and j / b in step
      plan.tiles.push_back(prefill.tiles[i++]);
    } else {
      plan.tiles.push_back(decode.tiles[j++]);
      plan.tiles.back().sequence += static_cast<std::int32_t>(prefill.splits.size());
    }
  }
  return plan;
}

}  // namespace orrery
