/// y = x w^T: every linear layer of a transformer. Weights are stored as (n, k), as checkpoints have them.
///
///   gemm(GemmArgs<float>{.x = x, .w = w, .y = y, .m = 3, .n = 4096, .k = 4096});
///
/// A row of y has the same bits whatever m is and whichever implementation is chosen: each number is one dot product
/// over the whole of k (kernels/common/simd.hpp). Complexity: m n k multiply-adds; bf16 is widened once a row block.
#pragma once

#include <cstdint>

#include "kernels/common/scalar.hpp"

namespace orrery {

/// The three of FlashDecoding++ (section 5): one row, flat (m <= 64: the weights pass once), large.
enum class GemmImpl : std::uint8_t { kAuto, kGemv, kFlat, kLarge };

template <class T>
struct GemmArgs {
  const T* x = nullptr;                ///< (m, k), rows ldx apart
  const T* w = nullptr;                ///< (n, k)
  T* y = nullptr;                      ///< (m, n), rows ldy apart
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t ldx = 0, ldy = 0;       ///< 0 = dense
  bool accumulate = false;             ///< y += x w^T
  GemmImpl impl = GemmImpl::kAuto;
};

/// What kAuto takes.
GemmImpl gemm_choice(std::int64_t m);

/// For float, Bf16 and double.
template <class T>
void gemm(const GemmArgs<T>& args);

}  // namespace orrery
