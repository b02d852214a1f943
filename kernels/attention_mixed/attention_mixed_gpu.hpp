/// Prompt chunks and decode rows in one launch on a GPU, the same arguments as on the CPU with every pointer in device
/// memory. The results are those of the two kernels apart, bit for bit.
///
///   plan_mixed(plan_prefill({..., .rows = gpu::prefill_tile_tokens(group)}), plan_decode(...));
///   gpu::attention_mixed(args, stream);
///
/// Blocks of the two kinds have the same size and alternate in the order of the plan, so that a processor that holds
/// two has one of each while there are both (POD-attention, ASPLOS'25). Limits as of the two.
#pragma once

#include "kernels/attention_mixed/attention_mixed.hpp"
#include "kernels/attention_prefill/attention_prefill_gpu.hpp"

namespace orrery::ORRERY_GPU {

void attention_mixed(const MixedArgs<Bf16>& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
