/// The assignment problem: each row gets a column of its own, so that the sum of weights is largest (Kuhn and Munkres;
/// shortest augmenting paths with potentials). Exact for integers; O(rows^2 * columns) time, O(columns) memory beside
/// the weights. Ties are broken the same way every time.
///
///   // weights 7 5
///   //         6 1
///   best_assignment(2, 2, [&](int r, int c) { return w[r][c]; });    // {1, 0}: 5 + 6
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace orrery {

/// The column of each row; rows <= columns. |weight| at most 2^61 / rows. `weight(row, column)` is asked
/// O(rows^2 * columns) times.
template <class Weight>
std::vector<int> best_assignment(int rows, int columns, Weight weight) {
  constexpr std::int64_t kFar = std::numeric_limits<std::int64_t>::max() / 2;
  const auto n = static_cast<std::size_t>(columns) + 1;
  std::vector<std::int64_t> u(static_cast<std::size_t>(rows) + 1), v(n);   // potentials of rows and columns, from 1
  std::vector<int> row_of(n, 0), before(n, 0);                             // 0: none; column 0 is where a path begins
  for (int row = 1; row <= rows; ++row) {
    std::vector<std::int64_t> distance(n, kFar);
    std::vector<bool> done(n, false);
    row_of[0] = row;
    int at = 0;
    do {   // Dijkstra over columns with reduced costs
      done[static_cast<std::size_t>(at)] = true;
      const int r = row_of[static_cast<std::size_t>(at)];
      std::int64_t step = kFar;
      int next = 0;
      for (int c = 1; c <= columns; ++c) {
        const auto i = static_cast<std::size_t>(c);
        if (done[i]) continue;
        const auto cost = -static_cast<std::int64_t>(weight(r - 1, c - 1));
        const std::int64_t reduced = cost - u[static_cast<std::size_t>(r)] - v[i];
        if (reduced < distance[i]) {
          distance[i] = reduced;
          before[i] = at;
        }
        if (distance[i] < step) {
          step = distance[i];
          next = c;
        }
      }
      for (std::size_t i = 0; i < n; ++i) {
        if (done[i]) {
          u[static_cast<std::size_t>(row_of[i])] += step;
          v[i] -= step;
        } else {
          distance[i] -= step;
        }
      }
      at = next;
    } while (row_of[static_cast<std::size_t>(at)] != 0);
    while (at != 0) {   // along the path, every row moves to the next column
      const int from = before[static_cast<std::size_t>(at)];
      row_of[static_cast<std::size_t>(at)] = row_of[static_cast<std::size_t>(from)];
      at = from;
    }
  }
  std::vector<int> column_of(static_cast<std::size_t>(rows), -1);
  for (int c = 1; c <= columns; ++c)
    if (const int r = row_of[static_cast<std::size_t>(c)]; r > 0) column_of[static_cast<std::size_t>(r - 1)] = c - 1;
  return column_of;
}

}  // namespace orrery
