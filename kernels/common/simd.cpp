#include "kernels/common/simd.hpp"

namespace orrery {
namespace {

/// out[i * ldo + j] = dot(x[i], w[j]) of length k, for an R x C tile held in registers.
template <class Isa, int R, int C, class A>
KERNEL_INLINE void dot_tile(const A* const* x, const A* const* w, std::int64_t k, A* out, std::int64_t ldo) {
  Lanes<A, Isa> sum[R][C];
  KERNEL_UNROLL
  for (int i = 0; i < R; ++i) {
    KERNEL_UNROLL
    for (int j = 0; j < C; ++j) sum[i][j].clear();
  }
  std::int64_t t = 0;
  for (; t + kLanes <= k; t += kLanes) {
    Lanes<A, Isa> a[R];
    KERNEL_UNROLL
    for (int i = 0; i < R; ++i) a[i].load(x[i] + t);
    KERNEL_UNROLL
    for (int j = 0; j < C; ++j) {
      Lanes<A, Isa> b;
      b.load(w[j] + t);
      KERNEL_UNROLL
      for (int i = 0; i < R; ++i) sum[i][j].add_product(a[i], b);
    }
  }
  KERNEL_UNROLL
  for (int i = 0; i < R; ++i) {
    KERNEL_UNROLL
    for (int j = 0; j < C; ++j) {
      A lanes[kLanes];
      sum[i][j].store(lanes);
      for (std::int64_t l = 0; l < k - t; ++l) lanes[l] += x[i][t + l] * w[j][t + l];
      out[i * ldo + j] = sum_lanes(lanes);
    }
  }
}

/// Register tile: as many sums as the registers hold beside the operands.
template <class A, class Isa>
struct TileShape {
  static constexpr bool kWide = Lanes<A, Isa>::kParts == 1;
  static constexpr int kRows = kWide ? 3 : 2, kColumns = kWide ? 4 : 2;
};

/// out[i * ldo + j] = dot(x[i], w[j]) for all of m x n. Each number is computed as dot_tile does, whatever its tile.
/// Two rows that fill no tile have one of their own: as single ones they take as long as three.
template <class Isa, class A>
KERNEL_INLINE void dot_block_body(const A* const* x, std::int64_t m, const A* const* w, std::int64_t n,
                                  std::int64_t k, A* out, std::int64_t ldo) {
  constexpr int R = TileShape<A, Isa>::kRows, C = TileShape<A, Isa>::kColumns;
  std::int64_t j = 0;
  for (; j + C <= n; j += C) {
    std::int64_t i = 0;
    for (; i + R <= m; i += R) dot_tile<Isa, R, C>(x + i, w + j, k, out + i * ldo + j, ldo);
    if (i + 2 == m) {
      dot_tile<Isa, 2, C>(x + i, w + j, k, out + i * ldo + j, ldo);
      i = m;
    }
    for (; i < m; ++i) dot_tile<Isa, 1, C>(x + i, w + j, k, out + i * ldo + j, ldo);
  }
  for (; j < n; ++j)
    for (std::int64_t i = 0; i < m; ++i) dot_tile<Isa, 1, 1>(x + i, w + j, k, out + i * ldo + j, ldo);
}

KERNEL_AVX2 void dot_block_avx2(const float* const* x, std::int64_t m, const float* const* w, std::int64_t n,
                                std::int64_t k, float* out, std::int64_t ldo) {
  dot_block_body<IsaAvx2>(x, m, w, n, k, out, ldo);
}

}  // namespace

template <>
void dot_block(const float* const* x, std::int64_t m, const float* const* w, std::int64_t n, std::int64_t k, float* out,
               std::int64_t ldo) {
  if (use_avx2()) return dot_block_avx2(x, m, w, n, k, out, ldo);
  dot_block_body<IsaBase>(x, m, w, n, k, out, ldo);
}
template <>
void dot_block(const double* const* x, std::int64_t m, const double* const* w, std::int64_t n, std::int64_t k,
               double* out, std::int64_t ldo) {
  dot_block_body<IsaBase>(x, m, w, n, k, out, ldo);
}

}  // namespace orrery
