/// How the work of an attention launch is cut into tiles: which queries, which KV blocks, how many splits, how many
/// waves. Pure host arithmetic on integers, so that the kernels, their cost model and the tests see the same plan.
///
/// A tile is what one thread block does: some query rows of one sequence and KV head, over a range of KV blocks. Decode
/// rows are few, so their KV is split over several tiles whose partial results (o, m, l) are merged afterwards.
///
///   LaunchPlan plan = plan_decode({.contexts = contexts, .kv_heads = 8, .units = 132, .block = 128});
///   plan.tiles.size();  plan.waves(132);  plan.longest;                // what the cost model needs
///
/// Units: tokens and KV blocks of `block` tokens. Complexity: O(sequences log + tiles). The plan owns its tiles.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orrery {

/// Query rows [q_begin, q_end) of `sequence` at `kv_head`, over KV blocks [block_begin, block_end).
struct LaunchTile {
  std::int32_t sequence = 0, kv_head = 0;
  std::int32_t q_begin = 0, q_end = 1;
  std::int32_t block_begin = 0, block_end = 0;
  std::int32_t split = 0, splits = 1;              ///< which of how many parts of this row's KV
  bool decode = false;

  std::int32_t blocks() const { return block_end - block_begin; }
  friend bool operator==(const LaunchTile&, const LaunchTile&) = default;
};

struct LaunchPlan {
  std::vector<LaunchTile> tiles;                   ///< in launch order
  std::vector<std::int32_t> splits;                ///< of each sequence; 1 = nothing to merge
  std::int64_t total_blocks = 0;                   ///< sum over the tiles of their KV blocks
  std::int32_t longest = 0;                        ///< KV blocks of the longest tile

  /// Rounds in which `units` processors finish the tiles when one takes a tile at a time.
  std::int64_t waves(std::int32_t units) const { return (static_cast<std::int64_t>(tiles.size()) + units - 1) / units; }
  /// KV blocks on the busiest of `units` processors when each takes the next tile as it gets free: the time of the
  /// launch in units of one block. At most total_blocks / units + longest.
  std::int64_t makespan(std::int32_t units) const;
};

/// Number of KV splits for `tiles` equal tiles of `blocks` KV blocks on `units` processors: the smallest whose last
/// wave is nearly as full as the best one's (85 %); one if the tiles fill 80 % of the processors by themselves or if
/// there are at most four blocks. As FlashAttention-3 chooses (hopper/heuristics.h, num_splits_heuristic).
std::int32_t splits_for_waves(std::int64_t tiles, std::int32_t units, std::int32_t blocks, std::int32_t max_splits);

/// How decode rows are split.
enum class SplitRule : std::uint8_t {
  kNone,         ///< never
  kFixedSize,    ///< every `split_blocks` blocks: a row's result does not depend on the rest of the batch
  kFillUnits,    ///< as few blocks a split as keep the tiles within `max_tiles`: ragged batches are balanced
};

struct DecodeShape {
  std::span<const std::int32_t> contexts;          ///< (sequences) KV tokens a row reads, its own included
  std::int32_t kv_heads = 1;
  std::int32_t units = 1;                          ///< processors
  std::int32_t block = 64;                         ///< tokens of a KV block
  SplitRule rule = SplitRule::kFillUnits;
  std::int32_t split_blocks = 8;                   ///< for kFixedSize
  std::int32_t max_splits = 128;                   ///< of one row
  std::int64_t max_tiles = 0;                      ///< bound of kFillUnits; 0 = two waves, or one a row if more
};
/// Longest tiles first.
LaunchPlan plan_decode(const DecodeShape& shape);

struct PrefillShape {
  std::span<const std::int32_t> queries;           ///< (sequences) new tokens
  std::span<const std::int32_t> contexts;          ///< (sequences) cached tokens before them
  std::int32_t kv_heads = 1;
  std::int32_t block = 64;                         ///< tokens of a KV block
  std::int32_t rows = 64;                          ///< query tokens of a tile
};
/// Causal; longest tiles first, as they would end last. No splits.
LaunchPlan plan_prefill(const PrefillShape& shape);

/// Both in one launch (POD-attention, ASPLOS'25): tiles of the two kinds alternate in proportion to their numbers, so
/// that compute-bound and memory-bound tiles share the processors. Sequences of `decode` are numbered after those of
/// `prefill`.
LaunchPlan plan_mixed(const LaunchPlan& prefill, const LaunchPlan& decode);

}  // namespace orrery
