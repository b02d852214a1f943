/// The blocked product behind gemm and grouped_gemm on the CPU: row pointers in, a tile out.
///
///   gemm_rows(x_row, m, w, n, k, rows_at_once, [&](i, j, value) { ... });
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/common/scalar.hpp"
#include "kernels/common/simd.hpp"

namespace orrery {

/// Points at `rows` rows of length k as numbers of A, widened into `memory` if they are not.
template <class A, class T, class RowOf>
void widen_rows(const RowOf& row_of, std::int64_t first, std::int64_t rows, std::int64_t k,
                              std::vector<A>& memory, const A** out) {
  if constexpr (!std::is_same_v<T, A>) memory.resize(static_cast<std::size_t>(rows * k));
  for (std::int64_t i = 0; i < rows; ++i) {
    const T* row = row_of(first + i);
    if constexpr (std::is_same_v<T, A>) {
      out[i] = row;
    } else {
      A* wide = memory.data() + i * k;
      for (std::int64_t t = 0; t < k; ++t) wide[t] = from(row[t]);
      out[i] = wide;
    }
  }
}

/// store(i, j, sum) for every product of row i of x (m of them, anywhere) and row j of w (n, dense, length k), taking
/// `block` rows of x at once.
template <class T, class RowOf, class Store>
void gemm_rows(const RowOf& x_row, std::int64_t m, const T* w, std::int64_t n, std::int64_t k,
                             std::int64_t block, const Store& store) {
  using A = Accum<T>;
  constexpr std::int64_t kMost = 64, kColumns = 32;
  const A *x_at[kMost], *w_at[kColumns];
  std::vector<A> x_wide, w_wide;
  alignas(32) A tile[kMost * kColumns];
  const auto w_row = [=](std::int64_t j) { return w + j * k; };
  for (std::int64_t i = 0; i < m; i += block) {
    const std::int64_t rows = std::min(block, m - i);
    widen_rows<A, T>(x_row, i, rows, k, x_wide, x_at);
    for (std::int64_t j = 0; j < n; j += kColumns) {
      const std::int64_t columns = std::min(kColumns, n - j);
      widen_rows<A, T>(w_row, j, columns, k, w_wide, w_at);
      dot_block(x_at, rows, w_at, columns, k, tile, kColumns);
      for (std::int64_t a = 0; a < rows; ++a)
        for (std::int64_t b = 0; b < columns; ++b) store(i + a, j + b, tile[a * kColumns + b]);
    }
  }
}

}  // namespace orrery
