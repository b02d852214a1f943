/// The assignment solver against all permutations, and what must hold where these are too many.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/base/assignment.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

using Matrix = std::vector<std::vector<std::int64_t>>;

std::vector<int> solve(const Matrix& w) {
  return best_assignment(static_cast<int>(w.size()), static_cast<int>(w[0].size()),
                         [&](int r, int c) { return w[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)]; });
}

std::int64_t sum(const Matrix& w, const std::vector<int>& columns) {
  std::int64_t s = 0;
  for (std::size_t r = 0; r < w.size(); ++r) s += w[r][static_cast<std::size_t>(columns[r])];
  return s;
}

std::int64_t by_all_permutations(const Matrix& w) {
  std::vector<int> columns(w[0].size());
  std::iota(columns.begin(), columns.end(), 0);
  std::int64_t best = std::numeric_limits<std::int64_t>::min();
  do best = std::max(best, sum(w, columns));
  while (std::next_permutation(columns.begin(), columns.end()));
  return best;
}

Matrix random_matrix(Rng& rng, std::size_t rows, std::size_t columns, std::uint64_t values, std::int64_t from) {
  Matrix w(rows, std::vector<std::int64_t>(columns));
  for (auto& row : w)
    for (auto& x : row) x = from + static_cast<std::int64_t>(rng.below(values));
  return w;
}

TEST(Assignment, GreedyWouldBeWrong) { EXPECT_EQ(solve({{7, 5}, {6, 1}}), (std::vector<int>{1, 0})); }

TEST(Assignment, IsTheBestOfAllPermutations) {
  Rng rng(1, Purpose::kFuzz, 1);
  for (int i = 0; i < 2000; ++i) {
    const std::size_t rows = 1 + rng.below(6), columns = rows + rng.below(7 - rows);
    const std::uint64_t values = i % 3 == 0 ? 3 : i % 3 == 1 ? 100 : 1'000'000'000'000;   // ties; few; bytes
    const Matrix w = random_matrix(rng, rows, columns, values, i % 2 == 0 ? 0 : -static_cast<std::int64_t>(values / 2));
    const std::vector<int> columns_of = solve(w);
    ASSERT_EQ(std::set<int>(columns_of.begin(), columns_of.end()).size(), rows);
    ASSERT_EQ(sum(w, columns_of), by_all_permutations(w)) << i;
  }
}

/// Of hidden[c] + noise, with a bonus on a hidden permutation that no noise makes up for, the permutation is found.
TEST(Assignment, FindsAHiddenPermutationOfTwoHundred) {
  Rng rng(2, Purpose::kFuzz, 1);
  std::vector<int> hidden(200);
  std::iota(hidden.begin(), hidden.end(), 0);
  for (std::size_t i = hidden.size(); i > 1; --i) std::swap(hidden[i - 1], hidden[rng.below(i)]);
  Matrix w = random_matrix(rng, 200, 200, 1000, 0);
  for (std::size_t r = 0; r < 200; ++r) w[r][static_cast<std::size_t>(hidden[r])] += 1000;
  EXPECT_EQ(solve(w), hidden);
}

}  // namespace
}  // namespace orrery
