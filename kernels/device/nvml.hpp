/// What a GPU says of itself through NVIDIA's management library, which is opened at run time: power, energy, clocks,
/// temperature, limits. Nothing is ever set.
///
///   Nvml nvml(nvml_library(), 0);                       // device 0; throws std::runtime_error where there is none
///   GpuCondition now = nvml.condition();   double joules = nvml.joules();
///
/// A number that the device does not report is -1.
#pragma once

#include <string>

namespace orrery {

/// The functions used, as they are named in the library; each returns 0 if it worked.
struct NvmlApi {
  int (*init)();
  int (*device_by_index)(unsigned index, void** device);
  int (*driver_version)(char* text, unsigned length);
  int (*power_usage)(void* device, unsigned* milliwatts);
  int (*power_limit)(void* device, unsigned* milliwatts);
  int (*total_energy)(void* device, unsigned long long* millijoules);
  int (*clock)(void* device, int which, unsigned* megahertz);
  int (*temperature)(void* device, int sensor, unsigned* degrees);
};

/// From libnvidia-ml.so.1; throws std::runtime_error if there is none or it lacks one of them.
const NvmlApi& nvml_library();

struct GpuCondition {
  double watts = -1, sm_mhz = -1, memory_mhz = -1, celsius = -1;
};

class Nvml {
 public:
  Nvml(const NvmlApi& api, unsigned index);
  std::string driver() const;
  GpuCondition condition() const;
  double joules() const;             ///< since the driver was loaded
  double limit_watts() const;

 private:
  const NvmlApi& api_;
  void* device_ = nullptr;
};

}  // namespace orrery
