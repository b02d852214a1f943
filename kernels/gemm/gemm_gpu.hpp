/// gemm.hpp on a GPU, in bf16, for few rows (FlashDecoding++, sections 4 and 5); the large product is cublas_lt.hpp.
///
///   gpu::gemm_gemv(args, stream);                                     // m <= 8: plain cores
///   const FlatPlan plan = flat_plan(args.m, args.n, args.k, 132);     // m <= 64: tensor cores
///   gpu::gemm_flat(args, plan, {partials, arrived}, stream);
///
/// Both read the weights once. k, n and strides are multiples of 8, pointers of 16 bytes. A row's bits do not depend on
/// the other rows within one plan. `FlatSpace` is the caller's device memory: plan.partials floats, and plan.tiles
/// counters that are zero before the first launch (each launch leaves them zero); one stream at a time.
/// Throw std::invalid_argument.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/gemm/flat_plan.hpp"
#include "kernels/gemm/gemm.hpp"

namespace orrery::ORRERY_GPU {

struct FlatSpace {
  float* partials = nullptr;
  std::uint32_t* arrived = nullptr;
};

inline constexpr std::int64_t kMostGemvRows = 8, kMostFlatRows = 64;

void gemm_gemv(const GemmArgs<Bf16>& args, Stream stream);
void gemm_flat(const GemmArgs<Bf16>& args, const FlatPlan& plan, const FlatSpace& space, Stream stream);

}  // namespace orrery::ORRERY_GPU
