/// rmsnorm.hpp on a GPU, in bf16: one block a row, which is held in registers, so that everything is read and written
/// once. dim is a multiple of 8, at most 16384; pointers are multiples of 16 bytes.
///
///   gpu::rmsnorm({.x = x, .residual = r, .weight = w, .out = out, .rows = 64, .dim = 4096}, stream);
///
/// A row's result does not depend on the others. Throws std::invalid_argument.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/rmsnorm/rmsnorm.hpp"

namespace orrery::ORRERY_GPU {

void rmsnorm(const RmsNormArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
