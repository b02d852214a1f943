#include "kernels/copy_blocks/copy_blocks.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace orrery {

void copy_blocks(const CopyBlocksArgs& a) {
  for (std::int32_t t = 0; t < a.tensors; ++t) {
    const auto* source = static_cast<const unsigned char*>(a.source[t]);
    auto* target = static_cast<unsigned char*>(a.target[t]);
    for (std::int64_t i = 0; i < a.count; ++i) {
      std::memcpy(target + a.pairs[2 * i + 1] * a.block_bytes, source + a.pairs[2 * i] * a.block_bytes,
                  static_cast<std::size_t>(a.block_bytes));
    }
  }
}

std::int64_t first_conflict(std::span<const std::int64_t> pairs, bool same_pool) {
  std::vector<std::int64_t> sources, targets;
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    sources.push_back(pairs[i]);
    targets.push_back(pairs[i + 1]);
  }
  std::sort(sources.begin(), sources.end());
  std::sort(targets.begin(), targets.end());
  for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const auto same = std::equal_range(targets.begin(), targets.end(), pairs[i + 1]);
    if (same.second - same.first > 1) return static_cast<std::int64_t>(i / 2);
    if (same_pool && std::binary_search(sources.begin(), sources.end(), pairs[i + 1]))
      return static_cast<std::int64_t>(i / 2);
  }
  return -1;
}

}  // namespace orrery
