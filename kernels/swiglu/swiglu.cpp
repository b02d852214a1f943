#include "kernels/swiglu/swiglu.hpp"

#include "kernels/common/exponential.hpp"

namespace orrery {

template <class T>
void swiglu(const SwigluArgs<T>& a) {
  for (std::int64_t i = 0; i < a.rows; ++i) {
    const T* gate = a.gate_up + 2 * i * a.dim;
    const T* up = gate + a.dim;
    T* out = a.out + i * a.dim;
    for (std::int64_t c = 0; c < a.dim; ++c) {
      const Accum<T> g = from(gate[c]);
      out[c] = to<T>(g / (1 + kernel_exp(-g)) * from(up[c]));
    }
  }
}

KERNEL_INSTANTIATE(swiglu, SwigluArgs)

}  // namespace orrery
