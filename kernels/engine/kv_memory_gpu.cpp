#include <algorithm>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/engine/gpu_kv_memory.hpp"

namespace orrery::ORRERY_GPU {

GpuKvMemory::GpuKvMemory(const DecoderShape& shape, const GpuKvConfig& config) : shape_(shape), config_(config) {
  const auto elements = static_cast<std::size_t>((std::int64_t{config.blocks} + 1) * block_elements());
  for (std::int32_t t = 0; t < 2 * shape.layers; ++t) {
    memory_.emplace_back(elements, "KV pool");
    device_fill(memory_.back().data(), 0, elements * sizeof(Bf16), nullptr);
  }
  swap_memory_.resize(memory_.size());
}

std::int64_t GpuKvMemory::block_elements() const {
  return std::int64_t{config_.block_tokens} * shape_.kv_heads * shape_.head_dim;
}

void GpuKvMemory::reserve_swap(std::int32_t blocks) {
  if (blocks <= swap_blocks_) return;
  const std::int32_t more = std::max(blocks, 2 * swap_blocks_);
  for (auto& tensor : swap_memory_) {
    PinnedBuffer<Bf16> larger(static_cast<std::size_t>(more * block_elements()));
    std::copy_n(tensor.data(), tensor.size(), larger.data());
    tensor = std::move(larger);
  }
  swap_blocks_ = more;
}

void GpuKvMemory::copy(Way way, std::span<const std::int64_t> pairs, DeviceStream& stream) {
  std::vector<const void*> source;
  std::vector<void*> target;
  for (std::size_t t = 0; t < memory_.size(); ++t) {
    Bf16 *const here = memory_[t].data(), *const there = swap_memory_[t].data();
    source.push_back(way == Way::kOut ? here : there);
    target.push_back(way == Way::kOut ? there : here);
  }
  swap_blocks({.source = source.data(),
               .target = target.data(),
               .tensors = static_cast<std::int32_t>(source.size()),
               .pairs = pairs.data(),
               .count = static_cast<std::int64_t>(pairs.size() / 2),
               .block_bytes = block_elements() * static_cast<std::int64_t>(sizeof(Bf16))},
              stream.get());
  stream.wait();
}

PagedKv<Bf16> GpuKvMemory::layer(std::int32_t layer, const std::int32_t* table, std::int32_t pages) const {
  const auto at = static_cast<std::size_t>(2 * layer);
  return {memory_[at].data(),   memory_[at + 1].data(), table,           pages,
          config_.block_tokens, shape_.kv_heads,        shape_.head_dim};
}

}  // namespace orrery::ORRERY_GPU
