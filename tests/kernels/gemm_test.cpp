#include "kernels/gemm/gemm.hpp"

#include <gtest/gtest.h>

#include "kernels/common/simd.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

std::vector<double> plain_product(const std::vector<double>& x, const std::vector<double>& w, int m, int n, int k) {
  std::vector<double> y(m * n);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int t = 0; t < k; ++t) y[i * n + j] += x[i * k + t] * w[j * k + t];
  return y;
}

template <class T>
std::vector<T> product(const std::vector<T>& x, const std::vector<T>& w, int m, int n, int k,
                       GemmImpl impl = GemmImpl::kAuto) {
  auto y = poisoned<T>(m * n);
  gemm(GemmArgs<T>{.x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k, .impl = impl});
  return y;
}

template <class T>
class Gemm : public testing::Test {};
using Formats = testing::Types<float, Bf16, double>;
TYPED_TEST_SUITE(Gemm, Formats);

TYPED_TEST(Gemm, IsTheProduct) {
  using T = TypeParam;
  const int shapes[][3] = {{1, 1, 1}, {1, 70, 300}, {3, 33, 64}, {5, 31, 7}, {64, 65, 100}, {97, 130, 513}};
  for (const auto& [m, n, k] : shapes) {
    const auto x = random_vector<T>(m * k, "x"), w = random_vector<T>(n * k, "w");
    const auto y = product(x, w, m, n, k);
    EXPECT_LT(relative_error(y, plain_product(as_double(x), as_double(w), m, n, k)), bound<T>())
        << m << ' ' << n << ' ' << k;
  }
}

TYPED_TEST(Gemm, RowsHaveTheSameBitsInAnyBatchAndImplementation) {
  using T = TypeParam;
  const int m = 101, n = 67, k = 203;
  const auto x = random_vector<T>(m * k, "x"), w = random_vector<T>(n * k, "w");
  const auto all = product(x, w, m, n, k);
  for (GemmImpl impl : {GemmImpl::kGemv, GemmImpl::kFlat, GemmImpl::kLarge})
    EXPECT_TRUE(same_bits(all, product(x, w, m, n, k, impl)));
  for (int first : {0, 1, 50, 98}) {
    for (int rows : {1, 2, 3}) {
      const std::vector<T> part(x.begin() + first * k, x.begin() + (first + rows) * k);
      const auto y = product(part, w, rows, n, k);
      EXPECT_TRUE(same_bits(std::span<const T>(y), std::span<const T>(all).subspan(first * n, rows * n)));
    }
  }
}

TYPED_TEST(Gemm, StridesAndAccumulation) {
  using T = TypeParam;
  const int m = 4, n = 10, k = 16, ldx = 21, ldy = 13;
  const auto x = random_vector<T>(m * ldx, "x"), w = random_vector<T>(n * k, "w");
  auto y = random_vector<T>(m * ldy, "y");
  const auto before = as_double(y);
  gemm(GemmArgs<T>{
      .x = x.data(), .w = w.data(), .y = y.data(), .m = m, .n = n, .k = k, .ldx = ldx, .ldy = ldy, .accumulate = true});
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < ldy; ++j) {
      double expected = before[i * ldy + j];
      if (j < n) for (int t = 0; t < k; ++t) expected += double{from(x[i * ldx + t])} * from(w[j * k + t]);
      EXPECT_NEAR(from(y[i * ldy + j]), expected, bound<T>() * 4);
    }
  }
}

TEST(GemmBits, DoNotDependOnTheInstructionSet) {
  const int m = 50, n = 41, k = 1003;
  const auto x = random_vector<float>(m * k, "x", 1.37f), w = random_vector<float>(n * k, "w", 0.73f);
  const auto wide = product(x, w, m, n, k);
  allow_avx2 = false;
  const auto least = product(x, w, m, n, k);
  allow_avx2 = true;
  EXPECT_TRUE(same_bits(wide, least));
}

TEST(GemmChoice, FollowsTheRows) {
  EXPECT_EQ(gemm_choice(1), GemmImpl::kGemv);
  EXPECT_EQ(gemm_choice(2), GemmImpl::kFlat);
  EXPECT_EQ(gemm_choice(64), GemmImpl::kFlat);
  EXPECT_EQ(gemm_choice(65), GemmImpl::kLarge);
}

}  // namespace
}  // namespace orrery
