#include "calibrate/live/cuda_device.hpp"

#include "sim/config/value.hpp"
#if defined(ORRERY_HAS_CUDA)
#define ORRERY_GPU_CUDA   // declarations for the host (kernels/device/device.hpp)
#include "calibrate/live/gpu_device.hpp"
#include "kernels/device/buffer.hpp"
#endif

namespace orrery {

std::string cuda_missing() {
#if defined(ORRERY_HAS_CUDA)
  return gpu_cuda::device_present() ? "" : "no NVIDIA GPU, or no driver, on this machine";
#else
  return "this program was built without CUDA kernels (cmake --preset cuda, with nvcc, builds them)";
#endif
}

std::unique_ptr<LiveDevice> make_cuda_device([[maybe_unused]] const LiveModel& model,
                                             [[maybe_unused]] const LiveDeviceOptions& options) {
  if (const std::string reason = cuda_missing(); !reason.empty()) throw ConfigError("the CUDA engine: " + reason);
#if defined(ORRERY_HAS_CUDA)
  return gpu_cuda::make_gpu_device(model, options);
#else
  return nullptr;
#endif
}

}  // namespace orrery
