#include "kernels/gather/gather_rows.hpp"

#include <algorithm>

#include "kernels/common/simd.hpp"

namespace orrery {

template <class T>
void gather_rows(const GatherArgs<T>& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) std::copy_n(a.from + a.index[r] * a.dim, a.dim, a.out + r * a.dim);
}

KERNEL_INSTANTIATE(gather_rows, GatherArgs)

}  // namespace orrery
