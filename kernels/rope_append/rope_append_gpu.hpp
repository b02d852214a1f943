/// rope_append.hpp on a GPU, in bf16: one block a token, cosines and sines loaded once for all heads. head_dim is a
/// multiple of 16, at most 256, strides multiples of 8, pointers of 16 bytes; the tables are float, in device memory.
/// Throws std::invalid_argument.
///
///   gpu::rope_append({.q = q, .k = k, .v = v, .sequence = s, .position = p, .kv = layer, .cosine = c, ...}, stream);
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/rope_append/rope_append.hpp"

namespace orrery::ORRERY_GPU {

void rope_append(const RopeAppendArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
