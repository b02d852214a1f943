#include <gtest/gtest.h>

#include "kernels/attention_decode/merge_gpu.hpp"
#include "kernels/device/buffer.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

/// Random partial results with 1, 2 and 50 splits a sequence, merged in double and by the kernel.
class Merge : public GpuCheck, public testing::WithParamInterface<int> {};

TEST_P(Merge, WeighsPartsByTheirMass) {
  const int d = GetParam(), heads = 3;
  const std::vector<int> splits = {2, 1, 50, 33}, nodes = {1, 5, 3, 2};
  std::vector<std::int32_t> offset{0}, row_offset{0};
  for (std::size_t s = 0; s < splits.size(); ++s) {
    offset.push_back(offset.back() + splits[s] * nodes[s]);
    row_offset.push_back(row_offset.back() + nodes[s]);
  }
  const auto rows = static_cast<std::size_t>(offset.back()) * heads;
  auto o = random_vector<float>(rows * d, "o"), m = random_vector<float>(rows, "m", 20.0f);
  auto l = random_vector<float>(rows, "l");
  for (float& x : l) x = std::abs(x);
  for (std::size_t i = 0; i < rows; i += 7) {                 // parts that saw no key; what is in o is not read
    l[i] = 0;
    m[i] = -INFINITY;
    fill_poison(std::span<float>(o).subspan(i * d, d));
  }
  std::vector<double> expected;
  for (std::size_t s = 0; s < splits.size(); ++s) {
    for (int row = 0; row < nodes[s] * heads; ++row) {
      const auto part = [&](int i) { return (offset[s] + i * nodes[s]) * heads + row; };
      double most = -1e300, sum = 0;
      std::vector<double> whole(d);
      for (int i = 0; i < splits[s]; ++i) most = std::max(most, double{m[part(i)]});
      for (int i = 0; i < splits[s]; ++i) {
        if (l[part(i)] == 0) continue;
        const double w = std::exp(m[part(i)] - most);
        sum += w * l[part(i)];
        for (int c = 0; c < d; ++c) whole[c] += w * o[part(i) * d + c];
      }
      for (int c = 0; c < d; ++c) expected.push_back(sum > 0 ? whole[c] / sum : 0);
    }
  }
  const DeviceBuffer<float> o_device(o, "o"), m_device(m, "m"), l_device(l, "l");
  const DeviceBuffer<std::int32_t> offset_device(offset, "offset"), row_offset_device(row_offset, "row offset");
  DeviceBuffer<Bf16> out(static_cast<std::size_t>(row_offset.back()) * heads * d, "out");
  out.poison();
  merge_parts({.partials = {const_cast<float*>(o_device.data()), const_cast<float*>(m_device.data()),
                               const_cast<float*>(l_device.data()), offset_device.data()},
                  .out = out.data(), .row_offset = row_offset_device.data(), .heads = heads, .head_dim = d,
                  .sequences = 4, .most_rows = 5}, nullptr);
  const auto got = out.download();
  for (std::size_t s = 0; s < splits.size(); ++s) {
    const auto begin = static_cast<std::size_t>(row_offset[s]) * heads * d;
    const auto n = static_cast<std::size_t>(nodes[s]) * heads * d;
    const auto part = std::span<const Bf16>(got).subspan(begin, n);
    if (splits[s] == 1) {
      EXPECT_TRUE(same_bits(part, std::span<const Bf16>(poisoned<Bf16>(n))));   // left alone
    } else {
      EXPECT_LT(relative_error(part, std::span<const double>(expected).subspan(begin, n)), 1e-2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(HeadSizes, Merge, testing::Values(64, 128));

}  // namespace
}  // namespace orrery::ORRERY_GPU
