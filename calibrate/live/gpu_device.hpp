/// The decoder of the GPU kernels (kernels/engine/gpu_decoder.hpp) as a device of live executors: bf16, one stream,
/// wall clock with the device idle at both ends of a step. Compiled twice: for a GPU (orrery::gpu_cuda; reached through
/// cuda_device.hpp) and for the emulator, on which tests run it.
///
///   auto device = gpu::make_gpu_device(model, {.seed = 1});          // weights are made on the device
///
/// Time in which graphs are recorded and memory grows does not count: an engine in service has done that when it
/// starts. Throws ConfigError for what the kernels cannot do.
#pragma once

#include <memory>

#include "calibrate/live/device.hpp"
#include "calibrate/live/live_model.hpp"
#include "kernels/device/device.hpp"
#include "kernels/gemm/choice.hpp"

namespace orrery::ORRERY_GPU {

std::unique_ptr<LiveDevice> make_gpu_device(const LiveModel& model, const LiveDeviceOptions& options);
/// Which product such a device takes for how many rows; measured when it was made.
const GemmTable& product_table(const LiveDevice& gpu_device);

}  // namespace orrery::ORRERY_GPU
