/// The weights of a decoder in device memory, in bf16: made there from a seed, the same numbers as Weights<Bf16> has,
/// or copied from the host.
///
///   const GpuWeights seeded = make_gpu_weights(shape, 1, stream);
///   const GpuWeights loaded = upload_weights(shape, load_weights<Bf16>(file, shape));
///
/// Tensors' sizes must be multiples of 8. Both wait for the device. Throw CudaError.
#pragma once

#include "kernels/common/scalar.hpp"
#include "kernels/device/stream.hpp"
#include "kernels/engine/weights.hpp"

namespace orrery::ORRERY_GPU {

using GpuWeights = WeightTensors<DeviceBuffer<Bf16>>;

GpuWeights make_gpu_weights(const DecoderShape& shape, std::uint64_t seed, DeviceStream& stream);
GpuWeights upload_weights(const DecoderShape& shape, const Weights<Bf16>& weights);

}  // namespace orrery::ORRERY_GPU
