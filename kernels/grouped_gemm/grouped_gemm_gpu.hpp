/// grouped_gemm.hpp on a GPU, in bf16, without the host looking at the routing: a whole mixture of experts can be in a
/// CUDA graph.
///
///   gpu::route_top_k({logits, ids, weights, tokens, 8, 2}, stream);
///   gpu::group_by_expert({ids, tokens * 2, 8, routing}, stream);             // routing: device memory of the caller
///   gpu::grouped_gemm(args, tokens * 2, processors, stream);
///   gpu::combine_experts(args, stream);
///
/// The grouped product's blocks stay on their processors and take tiles (expert, rows, 128 outputs) in turn, found from
/// the offsets in device memory; tiles of one weight block come together, so that it is read from memory once. Experts
/// without rows cost nothing. Results are those of the CPU version up to rounding, and do not depend on the other
/// tokens; the order of the routing is the same exactly. n, k are multiples of 8, pointers of 16 bytes; at most 256
/// experts, top_k at most 8. Throw std::invalid_argument.
#pragma once

#include "kernels/device/device.hpp"
#include "kernels/grouped_gemm/grouped_gemm.hpp"

namespace orrery::ORRERY_GPU {

/// As orrery::Routing.
struct DeviceRouting {
  std::int32_t* offsets = nullptr;      ///< (experts + 1)
  std::int32_t* source = nullptr;       ///< (assignments)
  std::int32_t* place = nullptr;        ///< (assignments)
};

struct GroupArgs {
  const std::int32_t* ids = nullptr;    ///< (assignments) expert of each
  std::int32_t assignments = 0, experts = 0;
  DeviceRouting routing;                ///< out
};

void route_top_k(const RouteArgs<Bf16>& args, Stream stream);
void group_by_expert(const GroupArgs& args, Stream stream);
/// kAuto: warpgroups (wgmma) on sm_90a where experts have many rows, else mma.sync with the tile that suits their mean.
enum class GroupedKernel : std::uint8_t { kAuto, kMma, kWarpgroups };
/// `assignments`: rows in all; `processors`: of the device.
void grouped_gemm(const GroupedGemmArgs<Bf16>& args, std::int64_t assignments, int processors, Stream stream,
                  GroupedKernel kernel = GroupedKernel::kAuto);
/// On sm_90a only.
void grouped_gemm_warpgroups(const GroupedGemmArgs<Bf16>& args, int processors, Stream stream);
void combine_experts(const CombineArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
