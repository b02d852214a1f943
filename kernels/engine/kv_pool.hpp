/// The KV of an engine that keeps its own books: KvMemory (kv_memory.hpp) with block tables, shared prefixes, and room
/// in host memory for swapping.
///
///   KvPool<float> pool({.shape = shape, .blocks = 256, .block_tokens = 16, .sequences = 32, .swap_blocks = 64});
///   if (!pool.ensure(sequence, 100)) ...                       // not enough blocks; nothing changed
///   pool.swap_out(sequence);  ...  pool.swap_in(sequence);     // comes back in other blocks, with the same content
///
/// A block may belong to several sequences (share); it is free when the last has left it. Sequences are numbered by the
/// caller, 0 <= sequence < sequences. Complexity: O(blocks touched). Not for threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/engine/kv_memory.hpp"

namespace orrery {

struct KvPoolConfig {
  DecoderShape shape;
  std::int32_t blocks = 1, block_tokens = 16, sequences = 1, swap_blocks = 0;
};

template <class T>
class KvPool {
 public:
  explicit KvPool(const KvPoolConfig& config);

  /// Blocks for `tokens` tokens of a sequence. False, and no change, if they are not there.
  bool ensure(std::int32_t sequence, std::int64_t tokens);
  void release(std::int32_t sequence);
  /// The empty sequence `to` begins with the first `tokens` tokens of `from`, a multiple of block_tokens.
  void share(std::int32_t from, std::int32_t to, std::int64_t tokens);
  /// All blocks of a sequence to host memory, or back. False, and no change, if there is no room, or out: if it shares.
  bool swap_out(std::int32_t sequence);
  bool swap_in(std::int32_t sequence);

  std::int32_t free_blocks() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t free_swap_blocks() const { return static_cast<std::int32_t>(swap_free_.size()); }
  std::int32_t block_tokens() const { return config_.block_tokens; }
  std::span<const std::int32_t> blocks_of(std::int32_t sequence) const { return tables_[sequence]; }
  KvMemory<T>& memory() { return memory_; }

 private:
  KvPoolConfig config_;
  KvMemory<T> memory_;
  std::vector<std::int32_t> free_, swap_free_, holders_;
  std::vector<std::vector<std::int32_t>> tables_, swap_tables_;
};

}  // namespace orrery
