#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sim/base/min_tree.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Against a list that is searched anew for each question.
TEST(MinTree, SmallestKeyItsIndexAndTheSmallestOfTheOthers) {
  for (const std::size_t n : {1, 2, 3, 7, 8, 64}) {
    Rng rng(1, Purpose::kFuzz, n);
    MinTree tree(n);
    std::vector<std::int64_t> keys(n, MinTree::kNone);
    for (int round = 0; round < 300; ++round) {
      const auto i = static_cast<std::size_t>(rng.below(n));
      keys[i] = rng.below(5) == 0 ? MinTree::kNone : static_cast<std::int64_t>(rng.below(20));
      tree.set(i, keys[i]);
      const auto first = std::min_element(keys.begin(), keys.end());
      ASSERT_EQ(tree.min(), *first);
      if (*first != MinTree::kNone) ASSERT_EQ(tree.index(), static_cast<std::size_t>(first - keys.begin()));
      std::vector<std::int64_t> others = keys;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(tree.index()));
      ASSERT_EQ(tree.min_of_others(), others.empty() ? MinTree::kNone : *std::min_element(others.begin(), others.end()));
    }
  }
}

}  // namespace
}  // namespace orrery
