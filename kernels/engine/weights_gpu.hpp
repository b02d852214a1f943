/// The seeded weights of weights.hpp, made on a GPU: the same bits as the CPU's, with neither a file nor a copy.
///
///   const WeightStream stream = matrix_stream(seed, tensor, columns);    // tensors are numbered as Weights makes them
///   gpu::make_weights(stream, w, rows * columns, cuda_stream);
///
/// `first` is the index of the first element made, so that a tensor may be made in pieces; a multiple of 8, as is the
/// address of 16 bytes.
#pragma once

#include "kernels/common/scalar.hpp"
#include "kernels/device/device.hpp"
#include "kernels/engine/weight_stream.hpp"

namespace orrery::ORRERY_GPU {

void make_weights(const WeightStream& weights, Bf16* out, std::int64_t n, Stream stream, std::int64_t first = 0);

}  // namespace orrery::ORRERY_GPU
