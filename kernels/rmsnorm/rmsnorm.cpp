#include "kernels/rmsnorm/rmsnorm.hpp"

#include <cmath>
#include <vector>

#include "kernels/common/simd.hpp"

namespace orrery {

template <class T>
void rmsnorm(const RmsNormArgs<T>& a) {
  using A = Accum<T>;
  std::vector<A> sum(static_cast<std::size_t>(a.dim));
  for (std::int64_t i = 0; i < a.rows; ++i) {
    const T* x = a.x + i * a.dim;
    for (std::int64_t c = 0; c < a.dim; ++c) sum[c] = from(x[c]);
    if (a.residual) {
      T* residual = a.residual + i * a.dim;
      for (std::int64_t c = 0; c < a.dim; ++c) residual[c] = to<T>(sum[c] += from(residual[c]));
    }
    const A* row = sum.data();
    A squares;
    dot_block(&row, 1, &row, 1, a.dim, &squares, 1);
    const A inverse = 1 / std::sqrt(squares / static_cast<A>(a.dim) + a.eps);
    T* out = a.out + i * a.dim;
    for (std::int64_t c = 0; c < a.dim; ++c) out[c] = to<T>(sum[c] * inverse * from(a.weight[c]));
  }
}

KERNEL_INSTANTIATE(rmsnorm, RmsNormArgs)

}  // namespace orrery
