#include <benchmark/benchmark.h>

#include <cstdio>

#include "kernels/device/buffer.hpp"

/// The benchmarks of the GPU kernels; without a GPU, a line that says so.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (!orrery::gpu::device_present()) {
    std::fputs("kernels_gpu_bench: there is no GPU, so nothing is measured\n", stderr);
    return 0;
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
