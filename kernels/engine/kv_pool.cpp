#include "kernels/engine/kv_pool.hpp"

#include <algorithm>

namespace orrery {

template <class T>
KvPool<T>::KvPool(const KvPoolConfig& config)
    : config_(config), memory_({config.shape, config.blocks, config.block_tokens, config.swap_blocks}) {
  for (std::int32_t b = config.blocks; b-- > 0;) free_.push_back(b);
  for (std::int32_t b = config.swap_blocks; b-- > 0;) swap_free_.push_back(b);
  holders_.resize(static_cast<std::size_t>(config.blocks));
  tables_.resize(static_cast<std::size_t>(config.sequences));
  swap_tables_.resize(static_cast<std::size_t>(config.sequences));
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
  memory_.copy(KvMemory<T>::Way::kOut, pairs);
  return true;
}

template <class T>
bool KvPool<T>::swap_in(std::int32_t sequence) {
  auto& there = swap_tables_[sequence];
  if (!ensure(sequence, static_cast<std::int64_t>(there.size()) * config_.block_tokens)) return false;
  std::vector<std::int64_t> pairs;
  for (std::size_t i = 0; i < there.size(); ++i) pairs.insert(pairs.end(), {there[i], tables_[sequence][i]});
  memory_.copy(KvMemory<T>::Way::kIn, pairs);
  swap_free_.insert(swap_free_.end(), there.begin(), there.end());
  there.clear();
  return true;
}

template class KvPool<float>;
template class KvPool<Bf16>;
template class KvPool<double>;

}  // namespace orrery
