#include "calibrate/sweep/backend.hpp"

#include "calibrate/live/cuda_device.hpp"
#if defined(ORRERY_HAS_CUDA)
#define ORRERY_GPU_CUDA   // declarations for the host (kernels/device/device.hpp)
#include "calibrate/sweep/gpu_backend.hpp"
#endif

namespace orrery {

SweepOptions sweep_options(std::string_view name, const ModelShape& model, bool quick) {
  SweepOptions o{.quick = quick};
  if (name != "cuda") return o;
  constexpr double kMostKvBytes = 36e9;      // beside 16 GB of weights on a device of 80
  o.gpu = true;
  o.max_sequences = 64;
  o.token_budget = 2048;
  o.max_context = 4096;
  const auto per_token = static_cast<double>(model.kv_bytes_per_token());
  while (o.max_context > 512 && per_token * static_cast<double>(o.max_sequences * o.max_context) > kMostKvBytes)
    o.max_context /= 2;
  return o;
}

std::unique_ptr<SweepBackend> make_sweep_backend(std::string_view name, const ModelShape& model,
                                                 const SweepOptions& options) {
  if (name == "cpu") return make_cpu_backend(model, options);
  if (name != "cuda") throw ConfigError("backend \"" + std::string(name) + "\": expected cpu or cuda");
  if (const std::string reason = cuda_missing(); !reason.empty())
    throw ConfigError("backend cuda: " + reason + "; backend cpu runs here");
#if defined(ORRERY_HAS_CUDA)
  return gpu_cuda::make_gpu_backend(model, options);
#else
  return nullptr;
#endif
}

}  // namespace orrery
