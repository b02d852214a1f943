/// KvMemory (kv_memory.hpp) on a device, in bf16, with swapped blocks in pinned host memory; beside the blocks of its
/// user one more, which rows that fill a batch up may write (scratch()).
///
///   GpuKvMemory memory(shape, {.blocks = 256, .block_tokens = 16});
///   memory.copy(GpuKvMemory::Way::kOut, pairs, stream);        // pairs: device block, host block; kIn: the reverse
///
/// Fresh memory is zero. Host blocks may be added (reserve_swap), which moves them. O(bytes copied). Throws CudaError.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/common/paged_kv.hpp"
#include "kernels/common/scalar.hpp"
#include "kernels/device/stream.hpp"
#include "kernels/engine/weights.hpp"

namespace orrery::ORRERY_GPU {

struct GpuKvConfig {
  std::int32_t blocks = 1, block_tokens = 16;
};

class GpuKvMemory {
 public:
  enum class Way : std::uint8_t { kOut, kIn };

  GpuKvMemory(const DecoderShape& shape, const GpuKvConfig& config);

  const GpuKvConfig& config() const { return config_; }
  std::int32_t scratch() const { return config_.blocks; }
  void reserve_swap(std::int32_t blocks);
  /// Copies blocks of all layers, (source, target) after (source, target), and waits for them.
  void copy(Way way, std::span<const std::int64_t> pairs, DeviceStream& stream);
  /// A layer's keys and values under block tables (sequences, pages) in device memory.
  PagedKv<Bf16> layer(std::int32_t layer, const std::int32_t* table, std::int32_t pages) const;

 private:
  std::int64_t block_elements() const;

  DecoderShape shape_;
  GpuKvConfig config_;
  std::int32_t swap_blocks_ = 0;
  std::vector<DeviceBuffer<Bf16>> memory_;       ///< keys and values of each layer
  std::vector<PinnedBuffer<Bf16>> swap_memory_;
};

}  // namespace orrery::ORRERY_GPU
