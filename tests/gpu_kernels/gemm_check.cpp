#include <gtest/gtest.h>

#include <stdexcept>

#include "kernels/gemm/device_gemm.hpp"
#include "kernels/gemm/large_product.hpp"
#include "kernels/gemm/profile_products.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class FlatGemm : public GpuCheck {};

/// A product, its operands on the device, and what it is in double.
struct Product {
  int m, n, k, ldx, ldy;
  std::vector<Bf16> x, w, y;
  DeviceBuffer<Bf16> x_device, w_device;
  std::vector<double> expected;

  Product(int rows, int outputs, int inner, int extra = 0, bool accumulate = false)
      : m(rows), n(outputs), k(inner), ldx(inner + extra), ldy(outputs + extra),
        x(random_vector<Bf16>(static_cast<std::size_t>(m) * ldx, "x")),
        w(random_vector<Bf16>(static_cast<std::size_t>(n) * k, "w")),
        y(random_vector<Bf16>(static_cast<std::size_t>(m) * ldy, "y")),
        x_device(x, "x"), w_device(w, "w") {
    const auto wide_x = as_double(x), wide_w = as_double(w);
    expected = as_double(y);
    orrery::gemm(GemmArgs<double>{.x = wide_x.data(), .w = wide_w.data(), .y = expected.data(), .m = m, .n = n, .k = k,
                                  .ldx = ldx, .ldy = ldy, .accumulate = accumulate});
  }
  /// Runs it on y as it was before, or on poison where y is not read, and compares.
  template <class Run>
  std::vector<Bf16> check(const Run& run, bool accumulate, bool padded) const {
    DeviceBuffer<Bf16> out(y.size(), "y");
    device_upload(out.data(), y.data(), y.size() * sizeof(Bf16));
    if (!accumulate && !padded) out.poison();
    run(GemmArgs<Bf16>{.x = x_device.data(), .w = w_device.data(), .y = out.data(), .m = m, .n = n, .k = k, .ldx = ldx,
                       .ldy = ldy, .accumulate = accumulate});
    const auto got = out.download();
    EXPECT_LT(relative_error(got, expected), bound<Bf16>()) << m << ' ' << n << ' ' << k;
    return got;
  }
};

TEST_F(FlatGemm, Gemv) {
  const int shapes[][3] = {{1, 8, 8},  {1, 33, 1032}, {2, 64, 4096}, {3, 20, 2056},
                           {4, 5, 96}, {7, 12, 256},  {8, 9, 64}};
  for (const auto& [m, n, k] : shapes) {
    Product(m, n, k).check([](const auto& a) { gemm_gemv(a, nullptr); }, false, false);
    Product(m, n, k, 8, true).check([](const auto& a) { gemm_gemv(a, nullptr); }, true, true);
  }
  EXPECT_THROW(gemm_gemv({.m = 9, .n = 8, .k = 8}, nullptr), std::invalid_argument);
  EXPECT_THROW(gemm_gemv({.m = 1, .n = 8, .k = 12}, nullptr), std::invalid_argument);
}

/// Every padding, one tile and several, with an end of n and of k inside a tile; twice, as the counters must be left at
/// zero.
TEST_F(FlatGemm, Flat) {
  const int shapes[][3] = {{1, 8, 8},     {5, 128, 64},  {8, 136, 1032}, {16, 256, 256}, {17, 40, 520},
                           {30, 128, 72}, {37, 136, 64}, {48, 8, 192},   {50, 128, 128}, {64, 264, 1024}};
  for (const auto& [m, n, k] : shapes) {
    for (const int splits : {1, 3}) {
      FlatPlan plan = flat_plan(m, n, k, 1);
      const int steps = (k + 63) / 64, part = (steps + splits - 1) / splits;
      plan.k_part = 64 * part;
      plan.splits = (steps + part - 1) / part;
      DeviceBuffer<float> partials(static_cast<std::size_t>(plan.splits) * plan.tiles * 128 * plan.columns, "partials");
      partials.poison();
      DeviceBuffer<std::uint32_t> arrived(plan.tiles, "arrived");
      device_fill(arrived.data(), 0, plan.tiles * 4, nullptr);
      const auto run = [&](const GemmArgs<Bf16>& a) { gemm_flat(a, plan, {partials.data(), arrived.data()}, nullptr); };
      const auto first = Product(m, n, k).check(run, false, false);
      EXPECT_TRUE(same_bits(first, Product(m, n, k).check(run, false, false)));
      Product(m, n, k, 8, true).check(run, true, true);
    }
  }
  EXPECT_THROW(gemm_flat({.m = 65, .n = 8, .k = 8}, flat_plan(65, 8, 8, 1), {}, nullptr), std::invalid_argument);
}

/// One object for layers of several shapes: the choice of the table, unless the implementation cannot.
TEST_F(FlatGemm, EveryLayerByItsChoice) {
  GemmTable table;
  table.set({.n = 136, .k = 1032, .gemv_below = 3, .flat_below = 20});
  int large = 0;
  DeviceGemm gemm(table, [&](const GemmArgs<Bf16>&, Stream) { ++large; }, 4);
  const auto choice = [&](std::int64_t m, std::int64_t n, std::int64_t k, GemmImpl impl = GemmImpl::kAuto) {
    return gemm.choose({.m = m, .n = n, .k = k, .impl = impl});
  };
  EXPECT_EQ(choice(2, 136, 1032), GemmImpl::kGemv);
  EXPECT_EQ(choice(3, 136, 1032), GemmImpl::kFlat);
  EXPECT_EQ(choice(20, 136, 1032), GemmImpl::kLarge);
  EXPECT_EQ(choice(64, 136, 1032, GemmImpl::kFlat), GemmImpl::kFlat);
  EXPECT_EQ(choice(65, 136, 1032, GemmImpl::kFlat), GemmImpl::kLarge);
  EXPECT_EQ(choice(9, 136, 1032, GemmImpl::kGemv), GemmImpl::kFlat);
  EXPECT_EQ(choice(2, 137, 1032), GemmImpl::kGemv);                  // any n
  EXPECT_EQ(choice(3, 137, 1032), GemmImpl::kLarge);
  EXPECT_EQ(choice(1, 136, 1033), GemmImpl::kLarge);
  gemm.reserve(136, 1032);
  const int shapes[][3] = {{2, 136, 1032}, {19, 136, 1032}, {17, 264, 2048}, {5, 136, 1032}};   // the third: more room
  for (const auto& [m, n, k] : shapes) {
    Product(m, n, k).check([&](const auto& a) { gemm.run(a, nullptr); }, false, false);
  }
  EXPECT_EQ(large, 0);
  gemm.run({.m = 30, .n = 136, .k = 1032}, nullptr);
  EXPECT_EQ(large, 1);
}

TEST(FlatPlan, FillsTheProcessorsWithinItsBounds) {
  for (const std::int64_t m : {1, 8, 17, 64}) {
    for (const std::int64_t n : {8, 1024, 4096, 28672}) {
      for (const std::int64_t k : {8, 4096, 14336}) {
        const FlatPlan p = flat_plan(m, n, k, 132);
        EXPECT_EQ(p.columns, (m + 7) / 8 * 8);
        EXPECT_GE(std::int64_t{p.tiles} * 128, n);
        EXPECT_EQ(p.k_part % 64, 0);
        EXPECT_GE(std::int64_t{p.splits} * p.k_part, k);
        EXPECT_LT((std::int64_t{p.splits} - 1) * p.k_part, k);       // no empty part
        if (p.splits > 1) {
          EXPECT_LE(p.splits * p.columns * 16, k);
          EXPECT_GE(p.k_part, 512);
          EXPECT_EQ(p.partials, std::int64_t{p.splits} * p.tiles * 128 * p.columns);
        }
      }
    }
  }
  EXPECT_EQ(flat_plan(8, 4096, 4096, 132).splits, 8);                // 32 tiles, 256 blocks
  EXPECT_EQ(flat_plan(64, 4096, 4096, 132).splits, 4);               // partial sums bound it
  EXPECT_EQ(flat_plan(8, 40000, 4096, 132).splits, 1);               // enough tiles
}

/// Everything is launched, in ranges that each can do; the thresholds are in order.
TEST_F(FlatGemm, ProductsAreProfiledOnTheWeightsThemselves) {
  const int n = 64, k = 128;
  const DeviceBuffer<Bf16> a(random_vector<Bf16>(n * k, "a"), "a"), b(random_vector<Bf16>(n * k, "b"), "b"),
      x(random_vector<Bf16>(64 * k, "x"), "x");
  const std::vector<const Bf16*> weights{a.data(), b.data()};
  LargeProduct large;
  DeviceStream stream;
  const GemmThresholds t = profile_products(n, k, weights, x.data(), std::ref(large), stream);
  EXPECT_EQ(t.n, n);
  EXPECT_EQ(t.k, k);
  EXPECT_LE(t.gemv_below, t.flat_below);
  EXPECT_LE(t.gemv_below, kMostGemvRows + 1);
  EXPECT_LE(t.flat_below, kMostFlatRows + 1);
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
