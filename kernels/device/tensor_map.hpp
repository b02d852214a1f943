/// How the copy engine (TMA) of sm_90 sees a tensor of 16-bit numbers in device memory: sizes, strides, and the box
/// that a copy brings, with the swizzle of 128 bytes. What lies outside the tensor arrives as zeros.
#pragma once

#include <cstdint>

#include "kernels/device/device.hpp"
#if defined(__CUDACC__)
#include <cuda.h>

#include "kernels/device/cuda_error.hpp"
#endif

namespace orrery::ORRERY_GPU {

struct TensorBox {
  const void* base = nullptr;                ///< aligned to 16 bytes
  std::uint64_t size[3] = {1, 1, 1};         ///< numbers, the contiguous dimension first
  std::uint64_t stride[2] = {16, 16};        ///< bytes from one to the next of dimensions 1 and 2; multiples of 16
  std::uint32_t box[3] = {64, 1, 1};         ///< 64 numbers make a row of 128 bytes; at most 256 of the others
};

#if defined(__CUDACC__)
using TensorMap = CUtensorMap;

/// The driver's function, found at run time, so that programs start without a driver.
inline TensorMap make_tensor_map(const TensorBox& t) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found{};
  check_cuda(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, 12000, cudaEnableDefault, &found),
             "the driver's tensor maps");
  if (found != cudaDriverEntryPointSuccess) throw CudaError(cudaErrorInsufficientDriver, "the driver's tensor maps");
  const cuuint64_t size[3] = {t.size[0], t.size[1], t.size[2]}, stride[2] = {t.stride[0], t.stride[1]};
  const cuuint32_t box[3] = {t.box[0], t.box[1], t.box[2]}, step[3] = {1, 1, 1};
  TensorMap map;
  const CUresult result = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(entry)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(t.base), size, stride, box, step,
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) throw CudaError(cudaErrorInvalidValue, "a tensor map of these sizes and strides");
  return map;
}
#else
struct TensorMap {
  TensorBox t;
};
inline TensorMap make_tensor_map(const TensorBox& t) { return {t}; }
#endif

}  // namespace orrery::ORRERY_GPU
