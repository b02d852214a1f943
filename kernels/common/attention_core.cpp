#include "kernels/common/attention_core.hpp"

#include "kernels/common/exponential.hpp"

namespace orrery {
namespace {

/// o += sum over j of p[j] v[j], in the order of j.
template <class Isa, class A>
KERNEL_INLINE void add_values(A* o, const A* p, const A* const* v, int n, int head_dim) {
  constexpr int kWide = 4;
  int c = 0;
  for (; c + kWide * kLanes <= head_dim; c += kWide * kLanes) {
    Lanes<A, Isa> sum[kWide];
    KERNEL_UNROLL
    for (int w = 0; w < kWide; ++w) sum[w].load(o + c + w * kLanes);
    for (int j = 0; j < n; ++j) {
      KERNEL_UNROLL
      for (int w = 0; w < kWide; ++w) {
        Lanes<A, Isa> x;
        x.load(v[j] + c + w * kLanes);
        sum[w].add_product(x, p[j]);
      }
    }
    KERNEL_UNROLL
    for (int w = 0; w < kWide; ++w) sum[w].store(o + c + w * kLanes);
  }
  for (; c < head_dim; ++c) {
    A sum = o[c];
    for (int j = 0; j < n; ++j) sum += p[j] * v[j][c];
    o[c] = sum;
  }
}

/// Sum of p[0..n) in eight lanes; p has room for a whole block.
template <class Isa, class A>
KERNEL_INLINE A sum_block(A* p, int n) {
  std::fill(p + n, p + kKvBlock, A{});
  Lanes<A, Isa> sum, x;
  sum.load(p);
  for (int j = kLanes; j < kKvBlock; j += kLanes) {
    x.load(p + j);
    KERNEL_UNROLL
    for (int i = 0; i < Lanes<A, Isa>::kParts; ++i) sum.part[i] += x.part[i];
  }
  A lanes[kLanes];
  sum.store(lanes);
  return sum_lanes(lanes);
}

template <class Isa, class A>
KERNEL_INLINE void absorb_body(RowState<A>& row, const A* s, A scale, const KvBlock<A>& block, int n, int head_dim) {
  alignas(32) A p[kKvBlock];
  A m = row.m;
  for (int j = 0; j < n; ++j) m = s[j] * scale > m ? s[j] * scale : m;
  if (m > row.m) {
    const A shrink = kernel_exp(row.m - m);     // 0 the first time
    row.l *= shrink;
    for (int c = 0; c < head_dim; ++c) row.o[c] *= shrink;
    row.m = m;
  }
  for (int j = 0; j < n; ++j) p[j] = kernel_exp(s[j] * scale - m);
  row.l += sum_block<Isa>(p, n);
  add_values<Isa>(row.o, p, block.v, n, head_dim);
}

template <class Isa, class A>
KERNEL_INLINE bool absorb_unified_body(RowState<A>& row, const A* s, A scale, A low, A high, const KvBlock<A>& block,
                                       int n, int head_dim) {
  alignas(32) A p[kKvBlock];
  int outside = 0;
  for (int j = 0; j < n; ++j) {
    const A d = s[j] * scale - row.m;
    outside += !(d >= low && d <= high);
    p[j] = kernel_exp(d);
  }
  if (outside) return false;
  row.l += sum_block<Isa>(p, n);
  add_values<Isa>(row.o, p, block.v, n, head_dim);
  return true;
}

KERNEL_AVX2 void absorb_avx2(RowState<float>& row, const float* s, float scale, const KvBlock<float>& block, int n,
                             int head_dim) {
  absorb_body<IsaAvx2>(row, s, scale, block, n, head_dim);
}
KERNEL_AVX2 bool absorb_unified_avx2(RowState<float>& row, const float* s, float scale, float low, float high,
                                     const KvBlock<float>& block, int n, int head_dim) {
  return absorb_unified_body<IsaAvx2>(row, s, scale, low, high, block, n, head_dim);
}

}  // namespace

template <>
void absorb(RowState<float>& row, const float* s, float scale, const KvBlock<float>& block, int n, int head_dim) {
  if (use_avx2()) return absorb_avx2(row, s, scale, block, n, head_dim);
  absorb_body<IsaBase>(row, s, scale, block, n, head_dim);
}
template <>
void absorb(RowState<double>& row, const double* s, double scale, const KvBlock<double>& block, int n, int head_dim) {
  absorb_body<IsaBase>(row, s, scale, block, n, head_dim);
}
template <>
bool absorb_unified(RowState<float>& row, const float* s, float scale, float low, float high,
                    const KvBlock<float>& block, int n, int head_dim) {
  if (use_avx2()) return absorb_unified_avx2(row, s, scale, low, high, block, n, head_dim);
  return absorb_unified_body<IsaBase>(row, s, scale, low, high, block, n, head_dim);
}
template <>
bool absorb_unified(RowState<double>& row, const double* s, double scale, double low, double high,
                    const KvBlock<double>& block, int n, int head_dim) {
  return absorb_unified_body<IsaBase>(row, s, scale, low, high, block, n, head_dim);
}

}  // namespace orrery
