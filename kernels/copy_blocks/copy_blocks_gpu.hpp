/// copy_blocks.hpp on a GPU, two ways:
///
///   gpu::copy_blocks(args, stream);       // one kernel for all; arrays of args in device memory, pools on the device
///                                         // or in pinned host memory that the device can address
///   gpu::swap_blocks(args, stream);       // by the copy engines: arrays of args in host memory; pools anywhere
///
/// The kernel suits many small blocks (copy on write, compaction), the copy engines swapping, beside which kernels run
/// on: neighbours that stay neighbours go in one copy. block_bytes is a multiple of 16 for the kernel. Throw
/// std::invalid_argument, CudaError.
#pragma once

#include "kernels/copy_blocks/copy_blocks.hpp"
#include "kernels/device/device.hpp"

namespace orrery::ORRERY_GPU {

void copy_blocks(const CopyBlocksArgs& args, Stream stream);
void swap_blocks(const CopyBlocksArgs& args, Stream stream);

}  // namespace orrery::ORRERY_GPU
