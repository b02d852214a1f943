/// The sweep on a GPU: the bf16 kernels that the CUDA engine uses, timed by events around graphs of launches that take
/// their weights and KV from other parts of a few gigabytes in turn; whole steps on the engine itself. Compiled twice,
/// as calibrate/live/gpu_device.hpp is; on the emulator its times mean nothing.
///
///   auto backend = gpu::make_gpu_backend(model, sweep_options("cuda", model, quick));
///
/// Throws ConfigError for what the kernels cannot do.
#pragma once

#include <memory>

#include "calibrate/sweep/backend.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

std::unique_ptr<SweepBackend> make_gpu_backend(const ModelShape& model, const SweepOptions& options);

}  // namespace orrery::ORRERY_GPU
