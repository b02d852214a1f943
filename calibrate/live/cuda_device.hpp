/// The CUDA engine as a device of live executors, where this program was built with CUDA kernels and finds a GPU.
///
///   if (cuda_missing().empty()) device = make_cuda_device(live_model("llama-3.1-8b", {}), {.seed = 1});
#pragma once

#include <memory>
#include <string>

#include "calibrate/live/device.hpp"
#include "calibrate/live/live_model.hpp"

namespace orrery {

/// Why there is no CUDA backend here, in a few words; "" where there is one.
std::string cuda_missing();

/// Throws ConfigError for what the CUDA kernels cannot do, and where cuda_missing().
std::unique_ptr<LiveDevice> make_cuda_device(const LiveModel& model, const LiveDeviceOptions& options);

}  // namespace orrery
