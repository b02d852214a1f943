#include "kernels/device/nvml.hpp"

#include <array>
#include <stdexcept>

#include "kernels/device/library.hpp"

namespace orrery {
namespace {

constexpr int kClockSm = 1, kClockMemory = 2, kSensorGpu = 0;   // NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU

}  // namespace

const NvmlApi& nvml_library() {
  static const NvmlApi api = [] {
    const Library library("libnvidia-ml.so.1", "the NVIDIA management library");
    NvmlApi a{};
    library.look_up("nvmlInit_v2", a.init);
    library.look_up("nvmlDeviceGetHandleByIndex_v2", a.device_by_index);
    library.look_up("nvmlSystemGetDriverVersion", a.driver_version);
    library.look_up("nvmlDeviceGetPowerUsage", a.power_usage);
    library.look_up("nvmlDeviceGetEnforcedPowerLimit", a.power_limit);
    library.look_up("nvmlDeviceGetTotalEnergyConsumption", a.total_energy);
    library.look_up("nvmlDeviceGetClockInfo", a.clock);
    library.look_up("nvmlDeviceGetTemperature", a.temperature);
    return a;
  }();
  return api;
}

Nvml::Nvml(const NvmlApi& api, unsigned index) : api_(api) {
  if (api_.init() != 0) throw std::runtime_error("the management library does not start");
  if (api_.device_by_index(index, &device_) != 0) throw std::runtime_error("the management library has no such device");
}

std::string Nvml::driver() const {
  std::array<char, 96> text{};
  return api_.driver_version(text.data(), static_cast<unsigned>(text.size())) == 0 ? text.data() : "unknown";
}

GpuCondition Nvml::condition() const {
  GpuCondition c;
  unsigned n = 0;
  if (api_.power_usage(device_, &n) == 0) c.watts = 1e-3 * n;
  if (api_.clock(device_, kClockSm, &n) == 0) c.sm_mhz = n;
  if (api_.clock(device_, kClockMemory, &n) == 0) c.memory_mhz = n;
  if (api_.temperature(device_, kSensorGpu, &n) == 0) c.celsius = n;
  return c;
}

double Nvml::joules() const {
  unsigned long long n = 0;
  return api_.total_energy(device_, &n) == 0 ? 1e-3 * static_cast<double>(n) : -1;
}

double Nvml::limit_watts() const {
  unsigned n = 0;
  return api_.power_limit(device_, &n) == 0 ? 1e-3 * n : -1;
}

}  // namespace orrery
