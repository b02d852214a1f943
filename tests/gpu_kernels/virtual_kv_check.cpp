/// Contiguous addresses over page groups that come and go: on the GPU in device memory, without one in the host's.
#include "kernels/virtual_kv/virtual_kv.hpp"

#include <gtest/gtest.h>

#include "kernels/copy_blocks/copy_blocks_gpu.hpp"
#include "kernels/virtual_kv/background_map.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"
#if defined(ORRERY_GPU_CUDA)
#include "kernels/virtual_kv/device_pages.hpp"
#endif

namespace orrery::ORRERY_GPU {
namespace {

class DevicePages : public GpuCheck {
 protected:
#if defined(ORRERY_GPU_CUDA)
  const MakePages make = device_pages;
#else
  const MakePages make = host_pages;
#endif
};

/// Two sequences are written, one is released and its memory given to a third: each reads what it wrote, over the
/// boundaries of page groups.
TEST_F(DevicePages, HoldWhatIsWritten) {
  const int heads = 8, d = 128;
  const std::int64_t group = 2 << 20, tokens = group / (heads * d * 2);            // of a page group: 1024
  VirtualKv pool({.layers = 1, .slots = 3, .max_tokens = 3 * tokens, .kv_heads = heads, .head_dim = d,
                  .element_bytes = 2, .page_group_bytes = group, .page_groups = 2 * 5}, make);
  ASSERT_EQ(pool.block_tokens(), tokens);
  const auto write = [&](int slot, std::int64_t n, const char* name) {
    const auto content = random_vector<Bf16>(static_cast<std::size_t>(n) * heads * d, name);
    const DeviceBuffer<Bf16> source(content, "source");
    const std::vector<const void*> from{source.data(), source.data()};
    const std::int64_t at = std::int64_t{slot} * pool.slot_tokens() * heads * d;
    const std::vector<void*> to{pool.keys<Bf16>(0) + at, pool.values<Bf16>(0) + at};
    const std::vector<std::int64_t> whole{0, 0};
    swap_blocks({from.data(), to.data(), 2, whole.data(), 1, n * heads * d * 2}, nullptr);
    return content;
  };
  const auto read = [&](const Bf16* tensor, int slot, std::int64_t n) {
    std::vector<Bf16> out(static_cast<std::size_t>(n) * heads * d);
    const std::int64_t at = std::int64_t{slot} * pool.slot_tokens() * heads * d;
    device_download(out.data(), tensor + at, out.size() * sizeof(Bf16));
    return out;
  };
  const int a = pool.acquire(2 * tokens), b = pool.acquire(10);
  ASSERT_TRUE(pool.ensure(a, 2 * tokens));
  ASSERT_TRUE(pool.ensure(b, 10));
  const auto of_a = write(a, 2 * tokens, "a"), of_b = write(b, 10, "b");
  EXPECT_TRUE(same_bits(read(pool.keys<Bf16>(0), a, 2 * tokens), of_a));
  EXPECT_TRUE(same_bits(read(pool.values<Bf16>(0), b, 10), of_b));
  pool.release(a);
  pool.reclaim();
  const int c = pool.acquire(3 * tokens);
  ASSERT_TRUE(pool.ensure(c, 3 * tokens));
  const auto of_c = write(c, 3 * tokens, "c");
  BackgroundMap ahead(pool);
  ahead.start(std::vector<int>{b}, std::vector<std::int64_t>{tokens + 1}, 1);       // beside the copies of a step
  EXPECT_EQ(ahead.wait(), 1);
  EXPECT_TRUE(same_bits(read(pool.values<Bf16>(0), c, 3 * tokens), of_c));
  EXPECT_TRUE(same_bits(read(pool.keys<Bf16>(0), b, 10), of_b));
  EXPECT_FALSE(pool.ensure(b, 3 * tokens));                                         // all five blocks are in use
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
