#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "kernels/kv_quant/append_gpu.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

template <class T>
bool equal_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

class KvAppend : public GpuCheck {};

/// Values beyond 448 and tiny ones among them.
TEST_F(KvAppend, Fp8HasTheBitsOfTheCpu) {
  const int heads = 3, d = 40, page_tokens = 4, pages = 5, tokens = 4;
  const std::vector<std::int32_t> table{2, 4, 0, 1}, sequence{0, 0, 1, 1}, position{3, 4, 0, 7};
  const std::vector<float> k_scale{0.01f, 1, 0.3f}, v_scale{0.002f, 4, 0.0007f};
  for (const int stride : {0, 2 * heads * d + 8}) {
    const std::size_t row = stride ? stride : heads * d, n = static_cast<std::size_t>(pages) * page_tokens * heads * d;
    const auto k = random_vector<Bf16>(tokens * row, "k", 5), v = random_vector<Bf16>(tokens * row, "v", 5);
    std::vector<Fp8> k_expected(n), v_expected(n);
    fill_poison(std::span(k_expected));
    fill_poison(std::span(v_expected));
    orrery::fp8_append(
        Fp8AppendArgs<Bf16>{k.data(),
                            v.data(),
                            sequence.data(),
                            position.data(),
                            {k_expected.data(), v_expected.data(), table.data(), 2, page_tokens, heads, d},
                            k_scale.data(),
                            v_scale.data(),
                            tokens,
                            stride});
    const DeviceBuffer<Bf16> k_d(k, "k"), v_d(v, "v");
    const DeviceBuffer<std::int32_t> table_d(table, "table"), sequence_d(sequence, "sequence"),
        position_d(position, "position");
    const DeviceBuffer<float> k_scale_d(k_scale, "k scale"), v_scale_d(v_scale, "v scale");
    DeviceBuffer<Fp8> k_pool(n, "k pool"), v_pool(n, "v pool");
    k_pool.poison();
    v_pool.poison();
    fp8_append({k_d.data(), v_d.data(), sequence_d.data(), position_d.data(),
                {k_pool.data(), v_pool.data(), table_d.data(), 2, page_tokens, heads, d}, k_scale_d.data(),
                v_scale_d.data(), tokens, stride}, nullptr);
    EXPECT_TRUE(equal_bits(k_pool.download(), k_expected));
    EXPECT_TRUE(equal_bits(v_pool.download(), v_expected));
  }
}

/// All arrays of a KIVI pool, on the host or the device.
template <template <class> class Array>
struct Pool {
  Array<std::uint8_t> k_codes, v_codes;
  Array<Half> k_scale, k_zero, v_scale, v_zero;
  Array<Bf16> k_recent, v_recent;
};
template <class T>
using Host = std::vector<T>;
template <class T>
using Device = DeviceBuffer<T>;

struct KiviShape {
  int heads, d, bits, residual, pages, sequences;
  std::size_t codes() const { return static_cast<std::size_t>(pages) * heads * d * 32 * bits / 8; }
  std::size_t key_groups() const { return static_cast<std::size_t>(pages) * heads * d; }
  std::size_t value_groups() const { return static_cast<std::size_t>(pages) * heads * 32 * d / 32; }
  std::size_t recent() const { return static_cast<std::size_t>(sequences) * residual * heads * d; }
};

Pool<Host> host_pool(const KiviShape& s) {
  return {poisoned<std::uint8_t>(s.codes()), poisoned<std::uint8_t>(s.codes()), poisoned<Half>(s.key_groups()),
          poisoned<Half>(s.key_groups()), poisoned<Half>(s.value_groups()), poisoned<Half>(s.value_groups()),
          poisoned<Bf16>(s.recent()), poisoned<Bf16>(s.recent())};
}
Pool<Device> device_pool(const KiviShape& s) {
  Pool<Device> p{Device<std::uint8_t>(s.codes(), "k codes"), Device<std::uint8_t>(s.codes(), "v codes"),
                 Device<Half>(s.key_groups(), "k scale"), Device<Half>(s.key_groups(), "k zero"),
                 Device<Half>(s.value_groups(), "v scale"), Device<Half>(s.value_groups(), "v zero"),
                 Device<Bf16>(s.recent(), "k recent"), Device<Bf16>(s.recent(), "v recent")};
  p.k_codes.poison(), p.v_codes.poison(), p.k_scale.poison(), p.k_zero.poison(), p.v_scale.poison(), p.v_zero.poison();
  p.k_recent.poison(), p.v_recent.poison();
  return p;
}
template <class P>
KiviPool<Bf16> view(P& p, const KiviShape& s, const std::int32_t* table, int max_pages) {
  return {p.k_codes.data(), p.k_scale.data(), p.k_zero.data(), p.v_codes.data(), p.v_scale.data(), p.v_zero.data(),
          p.k_recent.data(), p.v_recent.data(), table, max_pages, s.heads, s.d, s.bits, s.residual};
}

/// Three sequences grow by chunks and single tokens; after each step all that is quantised has the CPU's bits, and the
/// newest are where the CPU has them.
TEST_F(KvAppend, KiviHasTheBitsOfTheCpu) {
  for (const int bits : {2, 4}) {
    const KiviShape s{.heads = 2, .d = 64, .bits = bits, .residual = 64, .pages = 24, .sequences = 3};
    const int max_pages = 8;
    std::vector<std::int32_t> table(s.sequences * max_pages);
    for (int i = 0; i < s.sequences * max_pages; ++i) table[i] = (i * 7) % s.pages;
    auto host = host_pool(s);
    auto device = device_pool(s);
    const DeviceBuffer<std::int32_t> table_d(table, "table");
    const auto on_host = view(host, s, table.data(), max_pages), on_device = view(device, s, table_d.data(), max_pages);
    std::vector<std::int32_t> context(s.sequences);
    const int steps[][3] = {{10, 63, 200}, {1, 1, 1}, {60, 2, 1}, {0, 70, 5}, {130, 1, 33}};
    for (const auto& step : steps) {
      std::vector<std::int32_t> offset{0}, sequence, position;
      for (int q = 0; q < s.sequences; ++q) {
        for (int t = 0; t < step[q]; ++t) {
          sequence.push_back(q);
          position.push_back(context[q] + t);
        }
        offset.push_back(offset.back() + step[q]);
      }
      const auto tokens = static_cast<std::size_t>(offset.back()), row = static_cast<std::size_t>(s.heads * s.d);
      const auto k = random_vector<Bf16>(tokens * row, "k" + std::to_string(context[2]), 3);
      const auto v = random_vector<Bf16>(tokens * row, "v" + std::to_string(context[2]), 3);
      orrery::kivi_append(KiviAppendArgs<Bf16>{k.data(), v.data(), sequence.data(), position.data(), on_host,
                                               static_cast<std::int64_t>(tokens), 0});
      const DeviceBuffer<Bf16> k_d(k, "k"), v_d(v, "v");
      const DeviceBuffer<std::int32_t> offset_d(offset, "offset"), context_d(context, "context");
      kivi_append({.k = k_d.data(), .v = v_d.data(), .offset = offset_d.data(), .context = context_d.data(),
                   .kv = on_device, .sequences = s.sequences, .most_tokens = std::max({step[0], step[1], step[2]})},
                  nullptr);
      for (int q = 0; q < s.sequences; ++q) context[q] += step[q];
      EXPECT_TRUE(equal_bits(device.k_codes.download(), host.k_codes));
      EXPECT_TRUE(equal_bits(device.k_scale.download(), host.k_scale));
      EXPECT_TRUE(equal_bits(device.k_zero.download(), host.k_zero));
      EXPECT_TRUE(equal_bits(device.v_codes.download(), host.v_codes));
      EXPECT_TRUE(equal_bits(device.v_scale.download(), host.v_scale));
      EXPECT_TRUE(equal_bits(device.v_zero.download(), host.v_zero));
      EXPECT_TRUE(equal_bits(device.k_recent.download(), host.k_recent));
      EXPECT_TRUE(equal_bits(device.v_recent.download(), host.v_recent));
    }
    EXPECT_EQ(context, (std::vector<std::int32_t>{201, 137, 240}));
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
