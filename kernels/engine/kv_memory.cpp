#include "kernels/engine/kv_memory.hpp"

#include "kernels/copy_blocks/copy_blocks.hpp"

namespace orrery {

template <class T>
KvMemory<T>::KvMemory(const KvMemoryConfig& config) : config_(config) {
  const auto tensors = static_cast<std::size_t>(2 * config.shape.layers);
  memory_.assign(tensors, std::vector<T>(static_cast<std::size_t>(config.blocks * block_elements())));
  swap_memory_.assign(tensors, std::vector<T>(static_cast<std::size_t>(config.swap_blocks * block_elements())));
}

template <class T>
std::int64_t KvMemory<T>::block_elements() const {
  return static_cast<std::int64_t>(config_.block_tokens) * config_.shape.kv_heads * config_.shape.head_dim;
}

template <class T>
void KvMemory<T>::reserve_swap(std::int32_t blocks) {
  if (blocks <= config_.swap_blocks) return;
  config_.swap_blocks = blocks;
  for (auto& tensor : swap_memory_) tensor.resize(static_cast<std::size_t>(blocks * block_elements()));
}

template <class T>
void KvMemory<T>::copy(Way way, std::span<const std::int64_t> pairs) {
  auto& from = way == Way::kOut ? memory_ : swap_memory_;
  auto& to = way == Way::kOut ? swap_memory_ : memory_;
  std::vector<const void*> source;
  std::vector<void*> target;
  for (std::size_t t = 0; t < memory_.size(); ++t) {
    source.push_back(from[t].data());
    target.push_back(to[t].data());
  }
  copy_blocks({.source = source.data(), .target = target.data(), .tensors = static_cast<std::int32_t>(source.size()),
               .pairs = pairs.data(), .count = static_cast<std::int64_t>(pairs.size() / 2),
               .block_bytes = block_elements() * static_cast<std::int64_t>(sizeof(T))});
}

template <class T>
PagedKv<T> KvMemory<T>::layer(std::int32_t layer, const std::int32_t* table, std::int32_t max_pages) {
  return {memory_[2 * layer].data(), memory_[2 * layer + 1].data(), table, max_pages, config_.block_tokens,
          config_.shape.kv_heads, config_.shape.head_dim};
}

template class KvMemory<float>;
template class KvMemory<Bf16>;
template class KvMemory<double>;

}  // namespace orrery
