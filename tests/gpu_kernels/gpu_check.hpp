/// Checks of GPU kernels, one source for two programs: kernels_emulated_test runs them on the emulator, in the ordinary
/// tests; kernels_gpu_check (built where there is nvcc) on the GPU, and skips them where there is none.
///
///   class Scale : public GpuCheck {};
///   TEST_F(Scale, Doubles) { DeviceBuffer<float> x(host, "x"); ...; EXPECT_LT(relative_error(...), 1e-5); }
///
/// Files named *_check.cpp are in both programs; *_test.cpp know the emulator and are in the first only.
#pragma once

#include <gtest/gtest.h>

#include "kernels/device/buffer.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery::ORRERY_GPU {

class GpuCheck : public testing::Test {
 protected:
  void SetUp() override {
    if (!device_present()) GTEST_SKIP() << "no GPU";
  }
};

}  // namespace orrery::ORRERY_GPU
