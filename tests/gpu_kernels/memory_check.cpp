#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/engine/weights.hpp"
#include "kernels/engine/weights_gpu.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class DeviceMemory : public GpuCheck {};

/// By the kernel, and by the copy engines with runs of neighbours among the pairs.
TEST_F(DeviceMemory, BlocksAreCopied) {
  const int tensors = 3, blocks = 12;
  for (const int width : {8, 4096 + 24, 40960}) {                    // bf16: 16 bytes to 80 KB
    const std::vector<std::int64_t> pairs{3, 0, 4, 1, 5, 2, 9, 7, 1, 6, 2, 11};
    const DeviceBuffer<std::int64_t> pairs_d(pairs, "pairs");
    for (const bool kernel : {true, false}) {
      std::vector<std::vector<Bf16>> content;
      std::vector<DeviceBuffer<Bf16>> from_pools, to_pools;
      std::vector<const void*> source;
      std::vector<void*> target;
      for (int t = 0; t < tensors; ++t) {
        content.push_back(random_vector<Bf16>(static_cast<std::size_t>(blocks) * width, "pool" + std::to_string(t)));
        from_pools.emplace_back(content.back(), "source");
        to_pools.emplace_back(static_cast<std::size_t>(blocks) * width, "target");
        to_pools.back().poison();
        source.push_back(from_pools.back().data());
        target.push_back(to_pools.back().data());
      }
      const DeviceBuffer<const void*> source_d(source, "sources");
      const DeviceBuffer<void*> target_d(target, "targets");
      if (kernel) copy_blocks({source_d.data(), target_d.data(), tensors, pairs_d.data(), 6, width * 2}, nullptr);
      else swap_blocks({source.data(), target.data(), tensors, pairs.data(), 6, width * 2}, nullptr);
      for (int t = 0; t < tensors; ++t) {
        auto expected = poisoned<Bf16>(static_cast<std::size_t>(blocks) * width);
        for (std::size_t i = 0; i < pairs.size(); i += 2) {
          std::copy_n(content[t].begin() + pairs[i] * width, width, expected.begin() + pairs[i + 1] * width);
        }
        EXPECT_TRUE(same_bits(to_pools[t].download(), expected)) << width << ' ' << kernel;
      }
    }
  }
  EXPECT_THROW(copy_blocks({.tensors = 1, .count = 1, .block_bytes = 24}, nullptr), std::invalid_argument);
}

#if defined(ORRERY_GPU_CUDA)
/// Swapping by the kernel: it reads and writes the host's pinned memory itself.
TEST_F(DeviceMemory, TheKernelReachesPinnedHostMemory) {
  const int blocks = 4, width = 4096;
  const auto content = random_vector<Bf16>(blocks * width, "content");
  const DeviceBuffer<Bf16> device(content, "device");
  void* host = nullptr;
  check_cuda(cudaMallocHost(&host, content.size() * sizeof(Bf16)), "pinned memory");
  DeviceBuffer<Bf16> back(content.size(), "back");
  back.poison();
  const DeviceBuffer<std::int64_t> out(std::vector<std::int64_t>{0, 3, 1, 2, 2, 1, 3, 0}, "out");
  const DeviceBuffer<const void*> from_device(std::vector<const void*>{device.data()}, "from"),
      from_host(std::vector<const void*>{host}, "from");
  const DeviceBuffer<void*> to_host(std::vector<void*>{host}, "to"), to_device(std::vector<void*>{back.data()}, "to");
  copy_blocks({from_device.data(), to_host.data(), 1, out.data(), blocks, width * 2}, nullptr);
  copy_blocks({from_host.data(), to_device.data(), 1, out.data(), blocks, width * 2}, nullptr);
  EXPECT_TRUE(same_bits(back.download(), content));
  cudaFreeHost(host);
}
#endif

/// Every tensor of a decoder, in the order in which they are numbered.
TEST_F(DeviceMemory, WeightsHaveTheBitsOfTheCpu) {
  const DecoderShape shape{
      .layers = 1, .hidden = 72, .heads = 2, .kv_heads = 1, .head_dim = 16, .ffn = 40, .vocab = 30};
  const std::uint64_t seed = test_seed();
  const Weights<Bf16> expected(shape, seed);
  std::uint64_t next = 0;
  const auto check = [&](const std::vector<Bf16>& host, const WeightStream& stream) {
    DeviceBuffer<Bf16> out(host.size() + 8, "weights");
    out.poison();
    make_weights(stream, out.data(), static_cast<std::int64_t>(host.size()), nullptr);
    auto got = out.download();
    EXPECT_TRUE(same_bits(std::span<const Bf16>(got).first(host.size()), std::span<const Bf16>(host))) << next;
    for (std::size_t i = host.size(); i < got.size(); ++i) EXPECT_EQ(got[i].bits, 0xffff);
    ++next;
  };
  const auto matrix = [&](const std::vector<Bf16>& host, std::int64_t columns) {
    check(host, matrix_stream(seed, next, columns));
  };
  const auto norm = [&](const std::vector<Bf16>& host) { check(host, norm_stream(seed, next)); };
  matrix(expected.embedding, 72);
  norm(expected.layers[0].attention_norm);
  matrix(expected.layers[0].qkv, 72);
  matrix(expected.layers[0].out, 32);
  norm(expected.layers[0].ffn_norm);
  matrix(expected.layers[0].router, 72);
  matrix(expected.layers[0].gate_up, 72);
  matrix(expected.layers[0].down, 40);
  norm(expected.final_norm);
  matrix(expected.head, 72);

  const DeviceBuffer<Bf16> whole(1000, "whole"), part(500, "part");      // in pieces: the same numbers
  make_weights(matrix_stream(seed, 3, 9), whole.data(), 1000, nullptr);
  make_weights(matrix_stream(seed, 3, 9), part.data(), 500, nullptr, 400);
  const auto all = whole.download(), piece = part.download();
  EXPECT_TRUE(same_bits(std::span<const Bf16>(piece), std::span<const Bf16>(all).subspan(400, 500)));
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
