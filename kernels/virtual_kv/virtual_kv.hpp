/// A KV pool that is contiguous in addresses and paged in memory (vAttention, ASPLOS'25), on the CPU or a GPU:
/// addresses for the longest sequence of every slot are reserved, memory is mapped behind them page group by page group
/// as it is needed. Kernels see contiguous KV; nothing is paged but by the processor.
///
///   VirtualKv pool({.layers = 32, .slots = 64, .max_tokens = 8192, .kv_heads = 8, .head_dim = 128, .element_bytes = 2,
///                   .page_group_bytes = 2 << 20, .page_groups = 4096});
///   int slot = pool.acquire(prompt_tokens);
///   if (!pool.ensure(slot, prompt_tokens)) ...                 // out of memory: the caller preempts
///   PagedKv<Bf16> kv = {.k = pool.keys<Bf16>(layer), .table = slots, .max_pages = 1,
///       .page_tokens = pool.slot_tokens()};
///
/// A block is what all 2 * layers tensors need for `block_tokens()` more tokens: 2 * layers page groups. A released
/// slot keeps its memory (deferred reclamation) until another sequence takes it or memory runs short. Fresh memory
/// holds what its last owner left. One thread at a time (background_map.hpp maps ahead beside a step). The memory is
/// bounded by page_groups and freed with the pool. Construction throws std::invalid_argument for sizes that do not fit
/// together, std::system_error if the system refuses; ensure() does not throw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/virtual_kv/page_mapper.hpp"

namespace orrery {

struct VirtualKvConfig {
  std::int32_t layers = 1, slots = 1;
  std::int64_t max_tokens = 1;              ///< of one sequence
  std::int32_t kv_heads = 1, head_dim = 64, element_bytes = 4;
  std::int64_t page_group_bytes = 65536;    ///< a multiple of the machine's page (2 MiB on a GPU)
  std::int64_t page_groups = 1;             ///< memory of the pool
};

/// Page groups; free + active + inactive = all.
struct VirtualKvPages {
  std::int64_t free = 0;                    ///< in no slot
  std::int64_t active = 0;                  ///< mapped in acquired slots
  std::int64_t inactive = 0;                ///< mapped in released slots
  std::int64_t peak = 0;                    ///< largest active + inactive
  std::int64_t mapped_waiting = 0;          ///< mappings that a step waited for (ensure), ever
  std::int64_t mapped_ahead = 0;            ///< mappings made beforehand (premap), ever
  std::int64_t unmapped = 0;                ///< ever
};

class VirtualKv {
 public:
  explicit VirtualKv(const VirtualKvConfig& config, MakePages make_pages = host_pages);

  /// Where slot 0 of a layer begins; slot s is slot_tokens() tokens further for each.
  template <class T>
  T* keys(std::int32_t layer) const { return reinterpret_cast<T*>(tensor(2 * layer)); }
  template <class T>
  T* values(std::int32_t layer) const { return reinterpret_cast<T*>(tensor(2 * layer + 1)); }
  std::int32_t slot_tokens() const { return slot_tokens_; }     ///< max_tokens, rounded up to whole blocks
  std::int32_t block_tokens() const { return block_tokens_; }   ///< tokens that a page group holds in one tensor

  /// A free slot: the one with the least memory that suffices for `tokens`, else the one with the most; -1 if all are
  /// taken.
  int acquire(std::int64_t tokens);
  /// Maps what is missing for `tokens` of the slot, taking memory of released slots if needed. False if there is not
  /// enough; then nothing has changed for this slot.
  bool ensure(int slot, std::int64_t tokens);
  /// For decodes about to come: maps up to `blocks` blocks ahead, where slot i will need tokens[i]. From free memory
  /// only. Returns the blocks mapped.
  std::int64_t premap(std::span<const int> slots, std::span<const std::int64_t> tokens, std::int64_t blocks);
  void release(int slot);
  /// Unmaps all released slots.
  void reclaim();

  std::int64_t mapped_tokens(int slot) const { return slot_blocks_[slot] * block_tokens_; }
  const VirtualKvPages& pages() const { return pages_; }

 private:
  std::byte* tensor(std::int32_t index) const { return memory_->base() + index * tensor_bytes_; }
  std::int64_t place(std::int32_t index, int slot, std::int64_t block) const;
  bool map_block(int slot);
  void unmap_block(int slot);
  bool take_from_released(std::int64_t groups);

  VirtualKvConfig config_;
  std::int32_t slot_tokens_ = 0, block_tokens_ = 0;
  std::int64_t slot_bytes_ = 0, tensor_bytes_ = 0;
  std::unique_ptr<PageMapper> memory_;
  std::vector<std::int64_t> free_;            ///< page groups
  std::vector<std::int64_t> slot_blocks_;     ///< blocks mapped in a slot, always from its front
  std::vector<std::vector<std::int64_t>> groups_;   ///< of a slot: block by block, tensor by tensor
  std::vector<bool> taken_;
  VirtualKvPages pages_;
};

}  // namespace orrery
