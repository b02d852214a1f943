/// gather_rows.hpp on a GPU, in bf16: 16 bytes a thread and turn. dim is a multiple of 8, pointers of 16 bytes. Throws
/// std::invalid_argument.
///
///   gpu::gather_rows({.from = embedding, .index = tokens, .out = hidden, .rows = n, .dim = 4096}, stream);
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/gather/gather_rows.hpp"

namespace orrery::ORRERY_GPU {

void gather_rows(const GatherArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
