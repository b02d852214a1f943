/// The KV of an engine as memory: `blocks` blocks of `block_tokens` tokens for all layers, and blocks in host memory
/// for swapping. Who holds which block is the business of its user: KvPool (kv_pool.hpp), or the block tables of a
/// live executor.
///
///   KvMemory<float> memory({.shape = shape, .blocks = 256, .block_tokens = 16, .swap_blocks = 64});
///   memory.copy(KvMemory<float>::Way::kOut, pairs);   // pairs: device block, host block; kIn: host block, device block
///
/// Host blocks may be added (reserve_swap); that moves them, so it is no part of a step. Complexity: O(bytes copied).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/paged_kv.hpp"
#include "kernels/engine/weights.hpp"

namespace orrery {

struct KvMemoryConfig {
  DecoderShape shape;
  std::int32_t blocks = 1, block_tokens = 16, swap_blocks = 0;
};

template <class T>
class KvMemory {
 public:
  enum class Way : std::uint8_t { kOut, kIn };   ///< to host memory; back

  explicit KvMemory(const KvMemoryConfig& config);

  const KvMemoryConfig& config() const { return config_; }
  void reserve_swap(std::int32_t blocks);        ///< at least so many host blocks; contents stay
  /// Copies blocks of all layers: (source, target) after (source, target).
  void copy(Way way, std::span<const std::int64_t> pairs);
  /// A layer's keys and values under block tables (sequences, max_pages).
  PagedKv<T> layer(std::int32_t layer, const std::int32_t* table, std::int32_t max_pages);

 private:
  std::int64_t block_elements() const;

  KvMemoryConfig config_;
  std::vector<std::vector<T>> memory_, swap_memory_;   ///< keys and values of each layer
};

}  // namespace orrery
