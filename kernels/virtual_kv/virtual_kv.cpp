#include "kernels/virtual_kv/virtual_kv.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace orrery {

VirtualKv::VirtualKv(const VirtualKvConfig& config, MakePages make_pages) : config_(config) {
  const std::int64_t token_bytes = static_cast<std::int64_t>(config.kv_heads) * config.head_dim * config.element_bytes;
  if (config.page_group_bytes % token_bytes != 0) {
    throw std::invalid_argument("page_group_bytes: expected a multiple of a token's " + std::to_string(token_bytes) +
                                " bytes, got " + std::to_string(config.page_group_bytes));
  }
  block_tokens_ = static_cast<std::int32_t>(config.page_group_bytes / token_bytes);
  const std::int64_t blocks = (config.max_tokens + block_tokens_ - 1) / block_tokens_;
  slot_tokens_ = static_cast<std::int32_t>(blocks * block_tokens_);
  slot_bytes_ = blocks * config.page_group_bytes;
  tensor_bytes_ = slot_bytes_ * config.slots;
  memory_ = make_pages({.address_bytes = 2 * config.layers * tensor_bytes_,
                        .group_bytes = config.page_group_bytes,
                        .groups = config.page_groups});
  for (std::int64_t g = config.page_groups; g-- > 0;) free_.push_back(g);
  slot_blocks_.resize(static_cast<std::size_t>(config.slots));
  groups_.resize(static_cast<std::size_t>(config.slots));
  taken_.resize(static_cast<std::size_t>(config.slots));
  pages_.free = config.page_groups;
}

/// Offset of a block of a tensor.
std::int64_t VirtualKv::place(std::int32_t index, int slot, std::int64_t block) const {
  return index * tensor_bytes_ + slot * slot_bytes_ + block * config_.page_group_bytes;
}

int VirtualKv::acquire(std::int64_t tokens) {
  int best = -1;
  for (int s = 0; s < config_.slots; ++s) {
    if (taken_[s]) continue;
    if (best < 0) {
      best = s;
      continue;
    }
    const bool fits = mapped_tokens(s) >= tokens, best_fits = mapped_tokens(best) >= tokens;
    const bool less = slot_blocks_[s] < slot_blocks_[best], more = slot_blocks_[s] > slot_blocks_[best];
    if (fits ? !best_fits || less : !best_fits && more) best = s;
  }
  if (best < 0) return -1;
  taken_[best] = true;
  const std::int64_t mapped = slot_blocks_[best] * 2 * config_.layers;
  pages_.inactive -= mapped;
  pages_.active += mapped;
  return best;
}

bool VirtualKv::ensure(int slot, std::int64_t tokens) {
  if (tokens > slot_tokens_) return false;
  const std::int64_t missing = (tokens + block_tokens_ - 1) / block_tokens_ - slot_blocks_[slot];
  if (missing <= 0) return true;
  const std::int64_t groups = missing * 2 * config_.layers;
  if (pages_.free < groups && !take_from_released(groups)) return false;
  const std::int64_t before = slot_blocks_[slot];
  for (std::int64_t b = 0; b < missing; ++b) {
    if (!map_block(slot)) {                                        // the system's limit on mappings
      while (slot_blocks_[slot] > before) unmap_block(slot);
      return false;
    }
    pages_.mapped_waiting += 2 * config_.layers;
  }
  return true;
}

std::int64_t VirtualKv::premap(std::span<const int> slots, std::span<const std::int64_t> tokens, std::int64_t blocks) {
  std::int64_t done = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    while (done < blocks && mapped_tokens(slots[i]) < std::min<std::int64_t>(tokens[i], slot_tokens_) &&
           pages_.free >= 2 * config_.layers && map_block(slots[i])) {
      ++done;
      pages_.mapped_ahead += 2 * config_.layers;
    }
  }
  return done;
}

void VirtualKv::release(int slot) {
  taken_[slot] = false;
  const std::int64_t mapped = slot_blocks_[slot] * 2 * config_.layers;
  pages_.active -= mapped;
  pages_.inactive += mapped;
}

void VirtualKv::reclaim() {
  for (int s = 0; s < config_.slots; ++s) {
    while (!taken_[s] && slot_blocks_[s] > 0) unmap_block(s);
  }
}

/// From the highest slot down, as the system's own code does, until `groups` are free.
bool VirtualKv::take_from_released(std::int64_t groups) {
  if (pages_.free + pages_.inactive < groups) return false;
  for (int s = config_.slots; s-- > 0;) {
    while (!taken_[s] && slot_blocks_[s] > 0 && pages_.free < groups) unmap_block(s);
  }
  return true;
}

bool VirtualKv::map_block(int slot) {
  const std::int32_t tensors = 2 * config_.layers;
  for (std::int32_t i = 0; i < tensors; ++i) {
    const std::int64_t group = free_.back();
    if (!memory_->map(place(i, slot, slot_blocks_[slot]), group)) {
      while (i-- > 0) {
        memory_->unmap(place(i, slot, slot_blocks_[slot]));
        free_.push_back(groups_[slot].back());
        groups_[slot].pop_back();
      }
      return false;
    }
    free_.pop_back();
    groups_[slot].push_back(group);
  }
  ++slot_blocks_[slot];
  pages_.free -= tensors;
  (taken_[slot] ? pages_.active : pages_.inactive) += tensors;
  pages_.peak = std::max(pages_.peak, pages_.active + pages_.inactive);
  return true;
}

void VirtualKv::unmap_block(int slot) {
  const std::int32_t tensors = 2 * config_.layers;
  --slot_blocks_[slot];
  for (std::int32_t i = tensors; i-- > 0;) {
    memory_->unmap(place(i, slot, slot_blocks_[slot]));
    free_.push_back(groups_[slot].back());
    groups_[slot].pop_back();
  }
  pages_.free += tensors;
  (taken_[slot] ? pages_.active : pages_.inactive) -= tensors;
  pages_.unmapped += tensors;
}

}  // namespace orrery
