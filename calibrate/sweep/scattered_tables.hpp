/// Block tables of sequences that share a pool: pages 0 to N - 1, each in one table, in random order, as after some
/// time of serving; N is what the sequences need and no more.
///
///   scattered_tables({100, 7}, 16, 7);      // two rows of 7: seven pages, then one and six that are not read (-1)
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {

inline std::vector<std::int32_t> scattered_tables(const std::vector<std::int64_t>& tokens, std::int64_t page_tokens,
                                                  std::int64_t max_pages) {
  std::size_t pages = 0;
  for (const std::int64_t t : tokens) pages += static_cast<std::size_t>((t + page_tokens - 1) / page_tokens);
  std::vector<std::int32_t> order(pages);
  std::iota(order.begin(), order.end(), 0);
  Rng rng(1, Purpose::kFuzz, 5);
  for (std::size_t i = pages; i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  std::vector<std::int32_t> table(tokens.size() * static_cast<std::size_t>(max_pages), -1);
  std::size_t next = 0;
  for (std::size_t s = 0; s < tokens.size(); ++s) {
    for (std::int64_t p = 0; p < (tokens[s] + page_tokens - 1) / page_tokens; ++p)
      table[s * static_cast<std::size_t>(max_pages) + static_cast<std::size_t>(p)] = order[next++];
  }
  return table;
}

}  // namespace orrery
