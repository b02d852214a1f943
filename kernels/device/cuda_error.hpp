/// Errors of the CUDA runtime as exceptions that say what was tried and what may help.
///
///   check_cuda(cudaMalloc(&p, bytes), "memory for the KV pool");
///
/// For code that may include the CUDA headers (nvcc, or a host compiler with ORRERY_GPU_CUDA).
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace orrery::gpu_cuda {

class CudaError : public std::runtime_error {
 public:
  CudaError(cudaError_t code, const std::string& tried)
      : std::runtime_error("CUDA: " + tried + ": " + cudaGetErrorString(code) + hint(code)), code_(code) {}
  cudaError_t code() const { return code_; }

 private:
  static std::string hint(cudaError_t code) {
    switch (code) {
      case cudaErrorMemoryAllocation: return " (hint: a smaller KV pool or batch)";
      case cudaErrorNoKernelImageForDevice: return " (hint: built for another GPU; see CMAKE_CUDA_ARCHITECTURES)";
      case cudaErrorInvalidValue: return " (hint: more shared memory or a larger grid than this GPU has)";
      case cudaErrorIllegalAddress: case cudaErrorMisalignedAddress:
        return " (hint: the kernels' emulated tests, then compute-sanitizer)";
      case cudaErrorInsufficientDriver: return " (hint: the driver is older than the CUDA runtime)";
      default: return "";
    }
  }
  cudaError_t code_;
};

inline void check_cuda(cudaError_t code, const char* tried) {
  if (code != cudaSuccess) throw CudaError(code, tried);
}

}  // namespace orrery::gpu_cuda
