/// The CPU engine of kernels/engine as a device of live executors: one thread, fp32 or bf16, denormals flushed to zero,
/// the thread's CPU time as its clock.
///
///   auto device = make_cpu_device(live_model("llama-tiny", {}), {.seed = 1});
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "calibrate/live/device.hpp"
#include "calibrate/live/live_model.hpp"

namespace orrery {

struct CpuDeviceOptions {
  std::string dtype = "fp32";        ///< or "bf16": weights and KV
  std::uint64_t seed = 1;            ///< of the weights, where no file is named
  std::string weights;               ///< a safetensors file; "" : none
};

/// Throws ConfigError for what the CPU kernels cannot do.
std::unique_ptr<LiveDevice> make_cpu_device(const LiveModel& model, const CpuDeviceOptions& options);

}  // namespace orrery
