#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "kernels/rmsnorm/rmsnorm_gpu.hpp"
#include "kernels/rope_append/rope_append_gpu.hpp"
#include "kernels/swiglu/swiglu_gpu.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

/// A copy that kernels may write.
template <class T>
DeviceBuffer<T> writable(const std::vector<T>& host, const char* name) {
  DeviceBuffer<T> buffer(host.size(), name);
  device_upload(buffer.data(), host.data(), host.size() * sizeof(T));
  return buffer;
}

class Fused : public GpuCheck {};

TEST_F(Fused, RmsNormWithAndWithoutResidual) {
  const int shapes[][2] = {{1, 8}, {3, 248}, {5, 4096}, {2, 8192}, {2, 5120}, {1, 16384}};
  for (const auto& [rows, dim] : shapes) {
    const auto n = static_cast<std::size_t>(rows) * dim;
    const auto x = random_vector<Bf16>(n, "x"), r = random_vector<Bf16>(n, "r", 2), w = random_vector<Bf16>(dim, "w");
    for (bool with : {false, true}) {
      const auto wide_x = as_double(x), wide_w = as_double(w);
      auto wide_r = as_double(r);
      std::vector<double> expected(n);
      orrery::rmsnorm(RmsNormArgs<double>{.x = wide_x.data(), .residual = with ? wide_r.data() : nullptr,
                                          .weight = wide_w.data(), .out = expected.data(), .rows = rows, .dim = dim});
      const DeviceBuffer<Bf16> x_device(x, "x"), w_device(w, "w");
      const auto r_device = writable(r, "residual");
      DeviceBuffer<Bf16> out(n, "out");
      out.poison();
      rmsnorm({.x = x_device.data(), .residual = with ? r_device.data() : nullptr, .weight = w_device.data(),
               .out = out.data(), .rows = rows, .dim = dim}, nullptr);
      EXPECT_LT(relative_error(out.download(), expected), bound<Bf16>()) << rows << ' ' << dim;
      if (with) {
        EXPECT_LT(relative_error(r_device.download(), wide_r), bound<Bf16>());
      }
    }
  }
  EXPECT_THROW(rmsnorm({.rows = 1, .dim = 12}, nullptr), std::invalid_argument);
  EXPECT_THROW(rmsnorm({.rows = 1, .dim = 16392}, nullptr), std::invalid_argument);
}

TEST_F(Fused, Swiglu) {
  const int shapes[][2] = {{1, 8}, {3, 688}, {70, 136}};
  for (const auto& [rows, dim] : shapes) {
    const auto n = static_cast<std::size_t>(rows) * dim;
    const auto in = random_vector<Bf16>(2 * n, "gate", 30);        // saturates on both sides
    const auto wide = as_double(in);
    std::vector<double> expected(n);
    orrery::swiglu(SwigluArgs<double>{wide.data(), expected.data(), rows, dim});
    const DeviceBuffer<Bf16> device(in, "gate_up");
    DeviceBuffer<Bf16> out(n, "out");
    out.poison();
    swiglu({device.data(), out.data(), rows, dim}, nullptr);
    EXPECT_LT(relative_error(out.download(), expected), bound<Bf16>()) << rows << ' ' << dim;
  }
  const std::vector<Bf16> extreme(16, to<Bf16>(-20000.0f));          // exp overflows: -x / infinity, not NaN
  const DeviceBuffer<Bf16> device(extreme, "gate_up");
  DeviceBuffer<Bf16> out(8, "out");
  swiglu({device.data(), out.data(), 1, 8}, nullptr);
  for (Bf16 x : out.download()) EXPECT_EQ(from(x), 0);
}

/// Tokens of two sequences at several places, fused rows of q, k and v, scattered pages; compared with the CPU in
/// double.
TEST_F(Fused, RopeAppend) {
  for (const int d : {16, 64, 80, 128, 256}) {
    for (const bool fused : {true, false}) {
      const int heads = 6, kv_heads = 2, tokens = 5, page_tokens = 4, pages = 9;
      const int width = (heads + 2 * kv_heads) * d, stride = fused ? width : 0;
      const std::vector<std::int32_t> table{3, 8, -1, 1, 0, 5}, sequence{0, 0, 1, 1, 1}, position{0, 7, 3, 4, 11};
      const auto in = random_vector<Bf16>(tokens * width, "qkv");
      const std::size_t pool = static_cast<std::size_t>(pages) * page_tokens * kv_heads * d;
      const int k_at = fused ? heads * d : tokens * heads * d,
                v_at = fused ? k_at + kv_heads * d : k_at + tokens * kv_heads * d;
      auto wide = as_double(in);
      std::vector<double> k_pool(pool), v_pool(pool);
      const RopeTable<double> exact(12, d, 10000);
      orrery::rope_append(RopeAppendArgs<double>{
          .q = wide.data(), .k = wide.data() + k_at, .v = wide.data() + v_at, .sequence = sequence.data(),
          .position = position.data(), .kv = {k_pool.data(), v_pool.data(), table.data(), 3, page_tokens, kv_heads, d},
          .cosine = exact.cosine(), .sine = exact.sine(), .tokens = tokens, .heads = heads, .stride = stride});
      const RopeTable<float> rope(12, d, 10000);
      const auto floats = [&](const float* p) { return std::vector<float>(p, p + 12 * d / 2); };
      const DeviceBuffer<float> cosine(floats(rope.cosine()), "cosine"), sine(floats(rope.sine()), "sine");
      const DeviceBuffer<std::int32_t> table_d(table, "table"), sequence_d(sequence, "sequence"),
          position_d(position, "position");
      const auto qkv = writable(in, "qkv");
      DeviceBuffer<Bf16> k(pool, "k"), v(pool, "v");
      k.poison();
      v.poison();
      rope_append({.q = qkv.data(), .k = qkv.data() + k_at, .v = qkv.data() + v_at, .sequence = sequence_d.data(),
                   .position = position_d.data(),
                   .kv = {k.data(), v.data(), table_d.data(), 3, page_tokens, kv_heads, d},
                   .cosine = cosine.data(), .sine = sine.data(), .tokens = tokens, .heads = heads, .stride = stride},
                  nullptr);
      const auto q_out = qkv.download(), k_out = k.download(), v_out = v.download();
      EXPECT_LT(relative_error(q_out, wide), bound<Bf16>()) << d;
      std::size_t written = 0;
      std::vector<Bf16> k_got, v_got;
      std::vector<double> k_expected, v_expected;
      for (std::size_t i = 0; i < pool; ++i) {
        const bool is = from(k_out[i]) == from(k_out[i]);
        EXPECT_EQ(is, from(v_out[i]) == from(v_out[i]));
        if (!is) continue;
        ++written;
        k_got.push_back(k_out[i]);
        v_got.push_back(v_out[i]);
        k_expected.push_back(k_pool[i]);
        v_expected.push_back(v_pool[i]);
      }
      EXPECT_EQ(written, static_cast<std::size_t>(tokens * kv_heads * d));
      EXPECT_LT(relative_error(k_got, k_expected), bound<Bf16>()) << d;
      EXPECT_EQ(relative_error(v_got, v_expected), 0);
    }
  }
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
