/// Root-mean-square normalisation, fused with the residual connection before it.
///
///   rmsnorm(RmsNormArgs<float>{.x = x, .residual = r, .weight = w, .out = out, .rows = 3, .dim = 4096});
///
/// residual += x (if there is one); out = residual / sqrt(mean(residual^2) + eps) * weight. The norm sees the sum
/// before it is rounded to T. out may be x.
#pragma once

#include <cstdint>

#include "kernels/common/scalar.hpp"

namespace orrery {

template <class T>
struct RmsNormArgs {
  const T* x = nullptr;          ///< (rows, dim)
  T* residual = nullptr;         ///< (rows, dim) in and out, or null
  const T* weight = nullptr;     ///< (dim)
  T* out = nullptr;              ///< (rows, dim)
  std::int64_t rows = 0, dim = 0;
  Accum<T> eps = Accum<T>(1e-5);
};

template <class T>
void rmsnorm(const RmsNormArgs<T>& args);

}  // namespace orrery
