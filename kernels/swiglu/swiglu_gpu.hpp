/// swiglu.hpp on a GPU, in bf16: 16 bytes a load, everything read and written once. dim is a multiple of 8, and
/// rows * dim / 8 is below 2^31; pointers are multiples of 16 bytes. Throws std::invalid_argument.
///
///   gpu::swiglu({gate_up, out, rows, dim}, stream);
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/swiglu/swiglu.hpp"

namespace orrery::ORRERY_GPU {

void swiglu(const SwigluArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
