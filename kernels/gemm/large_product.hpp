/// The product of many rows on the device at hand: cuBLASLt; on the emulator, where a large product would take hours,
/// the CPU kernel, whose bits it has up to the order of the sums.
///
///   LargeProduct large;                                            // throws std::runtime_error without cuBLASLt
///   DeviceGemm product({}, std::ref(large), processors);
#pragma once

#include "kernels/device/buffer.hpp"
#include "kernels/gemm/gemm.hpp"
#if defined(ORRERY_GPU_CUDA)
#include "kernels/gemm/cublas_lt.hpp"
#endif

namespace orrery::ORRERY_GPU {

class LargeProduct {
 public:
#if defined(ORRERY_GPU_CUDA)
  LargeProduct() : workspace_(kWorkspace, "workspace"), lt_(cublas_lt(), workspace_.data(), kWorkspace) {}
  void operator()(const GemmArgs<Bf16>& a, Stream stream) { lt_.gemm(a, static_cast<cudaStream_t>(stream)); }
  CublasLt& library() { return lt_; }

 private:
  static constexpr std::size_t kWorkspace = 64 << 20;
  DeviceBuffer<std::uint8_t> workspace_;
  CublasLt lt_;
#else
  void operator()(const GemmArgs<Bf16>& a, Stream) { orrery::gemm(a); }
#endif
};

}  // namespace orrery::ORRERY_GPU
