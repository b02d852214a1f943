#include "kernels/engine/kv_pool.hpp"

#include <algorithm>

#include "kernels/copy_blocks/copy_blocks.hpp"

namespace orrery {

template <class T>
KvPool<T>::KvPool(const KvPoolConfig& config) : config_(config) {
  const auto tensors = static_cast<std::size_t>(2 * config.shape.layers);
  memory_.assign(tensors, std::vector<T>(static_cast<std::size_t>(config.blocks * block_elements())));
  swap_memory_.assign(tensors, std::vector<T>(static_cast<std::size_t>(config.swap_blocks * block_elements())));
  for (std::int32_t b = config.blocks; b-- > 0;) free_.push_back(b);
  for (std::int32_t b = config.swap_blocks; b-- > 0;) swap_free_.push_back(b);
  holders_.resize(static_cast<std::size_t>(config.blocks));
  tables_.resize(static_cast<std::size_t>(config.sequences));
  swap_tables_.resize(static_cast<std::size_t>(config.sequences));
}

template <class T>
std::int64_t KvPool<T>::block_elements() const {
  return static_cast<std::int64_t>(config_.block_tokens) * config_.shape.kv_heads * config_.shape.head_dim;
}

template <class T>
bool KvPool<T>::ensure(std::int32_t sequence, std::int64_t tokens) {
  auto& table = tables_[sequence];
  const std::int64_t need = (tokens + config_.block_tokens - 1) / config_.block_tokens;
  const std::int64_t missing = need - static_cast<std::int64_t>(table.size());
  if (missing > free_blocks()) return false;
  for (std::int64_t i = 0; i < missing; ++i) {
    table.push_back(free_.back());
    holders_[free_.back()] = 1;
    free_.pop_back();
  }
  return true;
}

template <class T>
void KvPool<T>::release(std::int32_t sequence) {
  for (std::int32_t block : tables_[sequence]) {
    if (--holders_[block] == 0) free_.push_back(block);
  }
  tables_[sequence].clear();
  swap_free_.insert(swap_free_.end(), swap_tables_[sequence].begin(), swap_tables_[sequence].end());
  swap_tables_[sequence].clear();
}

template <class T>
void KvPool<T>::share(std::int32_t from_sequence, std::int32_t to_sequence, std::int64_t tokens) {
  const auto& source = tables_[from_sequence];
  tables_[to_sequence].assign(source.begin(), source.begin() + tokens / config_.block_tokens);
  for (std::int32_t block : tables_[to_sequence]) ++holders_[block];
}

template <class T>
bool KvPool<T>::swap_out(std::int32_t sequence) {
  auto& here = tables_[sequence];
  auto& there = swap_tables_[sequence];
  const bool shares = std::any_of(here.begin(), here.end(), [&](std::int32_t b) { return holders_[b] > 1; });
  if (shares || here.size() > swap_free_.size()) return false;
  std::vector<std::int64_t> pairs;
  for (std::int32_t block : here) {
    there.push_back(swap_free_.back());
    swap_free_.pop_back();
    pairs.insert(pairs.end(), {block, there.back()});
    holders_[block] = 0;
    free_.push_back(block);
  }
  here.clear();
  copy(true, pairs);
  return true;
}

template <class T>
bool KvPool<T>::swap_in(std::int32_t sequence) {
  auto& there = swap_tables_[sequence];
  if (!ensure(sequence, static_cast<std::int64_t>(there.size()) * config_.block_tokens)) return false;
  std::vector<std::int64_t> pairs;
  for (std::size_t i = 0; i < there.size(); ++i) pairs.insert(pairs.end(), {there[i], tables_[sequence][i]});
  copy(false, pairs);
  swap_free_.insert(swap_free_.end(), there.begin(), there.end());
  there.clear();
  return true;
}

template <class T>
void KvPool<T>::copy(bool out, const std::vector<std::int64_t>& pairs) {
  std::vector<const void*> source;
  std::vector<void*> target;
  for (std::size_t t = 0; t < memory_.size(); ++t) {
    source.push_back(out ? memory_[t].data() : swap_memory_[t].data());
    target.push_back(out ? swap_memory_[t].data() : memory_[t].data());
  }
  copy_blocks({.source = source.data(), .target = target.data(), .tensors = static_cast<std::int32_t>(source.size()),
               .pairs = pairs.data(), .count = static_cast<std::int64_t>(pairs.size() / 2),
               .block_bytes = block_elements() * static_cast<std::int64_t>(sizeof(T))});
}

template <class T>
std::int32_t KvPool<T>::table(std::span<const std::int32_t> sequences, std::vector<std::int32_t>& out) const {
  std::size_t most = 1;
  for (std::int32_t s : sequences) most = std::max(most, tables_[s].size());
  out.assign(sequences.size() * most, -1);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    std::copy(tables_[sequences[i]].begin(), tables_[sequences[i]].end(),
              out.begin() + static_cast<std::ptrdiff_t>(i * most));
  }
  return static_cast<std::int32_t>(most);
}

template <class T>
PagedKv<T> KvPool<T>::layer(std::int32_t layer, const std::int32_t* table, std::int32_t max_pages) {
  return {memory_[2 * layer].data(), memory_[2 * layer + 1].data(), table, max_pages, config_.block_tokens,
          config_.shape.kv_heads, config_.shape.head_dim};
}

template class KvPool<float>;
template class KvPool<Bf16>;
template class KvPool<double>;

}  // namespace orrery
