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

/// Models with more weights than this are refused: they are generated and held in memory.
inline constexpr std::int64_t kMostCpuParameters = 2'000'000'000;

/// Throws ConfigError for what the CPU kernels cannot do.
std::unique_ptr<LiveDevice> make_cpu_device(const LiveModel& model, const LiveDeviceOptions& options);

}  // namespace orrery
