/// The management library, by a stand-in: units, and numbers that a device does not report.
#include "kernels/device/nvml.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

namespace orrery {
namespace {

int energy_status = 0;

NvmlApi stand_in() {
  NvmlApi a{};
  a.init = [] { return 0; };
  a.device_by_index = [](unsigned index, void** device) {
    static int only;
    *device = &only;
    return index == 0 ? 0 : 2;
  };
  a.driver_version = [](char* text, unsigned) { std::strcpy(text, "580.1"); return 0; };
  a.power_usage = [](void*, unsigned* mw) { *mw = 123500; return 0; };
  a.power_limit = [](void*, unsigned* mw) { *mw = 700000; return 0; };
  a.total_energy = [](void*, unsigned long long* mj) { *mj = 5000000500ull; return energy_status; };
  a.clock = [](void*, int which, unsigned* mhz) { *mhz = which == 1 ? 1980 : 3201; return 0; };
  a.temperature = [](void*, int, unsigned*) { return 3; };
  return a;
}

TEST(Nvml, ReportsInWattsJoulesAndMegahertz) {
  const NvmlApi api = stand_in();
  const Nvml nvml(api, 0);
  const GpuCondition c = nvml.condition();
  EXPECT_EQ(nvml.driver(), "580.1");
  EXPECT_DOUBLE_EQ(c.watts, 123.5);
  EXPECT_EQ(c.sm_mhz, 1980);
  EXPECT_EQ(c.memory_mhz, 3201);
  EXPECT_EQ(c.celsius, -1);                  // not reported
  EXPECT_DOUBLE_EQ(nvml.joules(), 5000000.5);
  EXPECT_EQ(nvml.limit_watts(), 700);
  energy_status = 3;
  EXPECT_EQ(nvml.joules(), -1);
  EXPECT_THROW(Nvml(api, 1), std::runtime_error);
}

}  // namespace
}  // namespace orrery
