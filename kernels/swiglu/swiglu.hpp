/// The gate of a Llama MLP: out = silu(gate) * up, silu(g) = g / (1 + exp(-g)).
///
///   swiglu(SwigluArgs<float>{gate_up, out, rows, dim});
#pragma once

#include <cstdint>

#include "kernels/common/scalar.hpp"

namespace orrery {

template <class T>
struct SwigluArgs {
  const T* gate_up = nullptr;    ///< (rows, 2 dim): gate, then up
  T* out = nullptr;              ///< (rows, dim)
  std::int64_t rows = 0, dim = 0;
};

template <class T>
void swiglu(const SwigluArgs<T>& args);

}  // namespace orrery
