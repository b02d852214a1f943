/// Vector arithmetic whose results do not depend on the instruction set: every dot product is eight partial sums (lane
/// l takes the elements l, l + 8, ...) added as a fixed tree, whether the processor has vectors of 2, 4 or 8 elements,
/// and nothing is fused. So a row has the same bits in any batch, tile and machine.
///
/// The few inner loops that matter are templates over the instruction set, compiled once for each and chosen at run
/// time (use_avx2); everything else is plain C++ that calls them. All that such a template calls must be KERNEL_INLINE
/// too, or it is compiled for the least.
///
///   dot_block(x_rows, m, w_rows, n, k, out, ldo);        // out[i * ldo + j] = dot(x_rows[i], w_rows[j])
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define KERNEL_INLINE inline __attribute__((always_inline))
#if defined(__x86_64__)
#define KERNEL_AVX2 __attribute__((target("avx2")))
#else
#define KERNEL_AVX2
#endif
/// Before a loop over registers: left as a loop, its array would live in memory.
#define KERNEL_UNROLL _Pragma("GCC unroll 8")
/// Instantiates a kernel for the formats that all have; double is the reference.
#define KERNEL_INSTANTIATE(name, Args)     \
  template void name(const Args<float>&);  \
  template void name(const Args<Bf16>&);   \
  template void name(const Args<double>&);

namespace orrery {

/// Bytes of a vector register.
struct IsaBase {
  static constexpr int kBytes = 16;
};
struct IsaAvx2 {
  static constexpr int kBytes = 32;
};

/// Tests set it to false and compare the bits. Not while kernels run.
inline bool allow_avx2 = true;

inline bool use_avx2() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2");
  return has && allow_avx2;
#else
  return false;
#endif
}

/// out[i * ldo + j] = dot(x[i], w[j]) of length k, for all of m x n. For float and double.
template <class A>
void dot_block(const A* const* x, std::int64_t m, const A* const* w, std::int64_t n, std::int64_t k, A* out,
               std::int64_t ldo);

inline constexpr int kLanes = 8;

/// Eight elements of A in registers.
template <class A, class Isa>
struct Lanes {
  static constexpr int kNative = Isa::kBytes / static_cast<int>(sizeof(A));
  static constexpr int kParts = kLanes / kNative;
  typedef A Vector __attribute__((vector_size(Isa::kBytes)));
  Vector part[kParts];

  KERNEL_INLINE void clear() {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) part[p] = Vector{};
  }
  KERNEL_INLINE void load(const A* x) {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) std::memcpy(&part[p], x + p * kNative, sizeof(Vector));
  }
  KERNEL_INLINE void store(A* x) const {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) std::memcpy(x + p * kNative, &part[p], sizeof(Vector));
  }
  KERNEL_INLINE void add_product(const Lanes& a, const Lanes& b) {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) part[p] += a.part[p] * b.part[p];
  }
  KERNEL_INLINE void add_product(const Lanes& a, A b) {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) part[p] += a.part[p] * b;
  }
  KERNEL_INLINE void scale(A b) {
    KERNEL_UNROLL
    for (int p = 0; p < kParts; ++p) part[p] *= b;
  }
};

/// The eight partial sums as one number.
template <class A>
KERNEL_INLINE A sum_lanes(const A* s) {
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

}  // namespace orrery
