#include <gtest/gtest.h>

#include <cmath>

#include "kernels/gather/gather_rows.hpp"
#include "kernels/rmsnorm/rmsnorm.hpp"
#include "kernels/rope_append/rope_append.hpp"
#include "kernels/swiglu/swiglu.hpp"
#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

template <class T>
class Fused : public testing::Test {};
using Formats = testing::Types<float, Bf16, double>;
TYPED_TEST_SUITE(Fused, Formats);

TYPED_TEST(Fused, NormIsTheFormulaAndAddsTheResidual) {
  using T = TypeParam;
  const int rows = 5, dim = 203;
  const auto x = random_vector<T>(rows * dim, "x"), weight = random_vector<T>(dim, "w");
  for (bool with_residual : {false, true}) {
    auto residual = random_vector<T>(rows * dim, "r");
    const auto before = as_double(residual);
    auto out = poisoned<T>(rows * dim);
    rmsnorm(RmsNormArgs<T>{x.data(), with_residual ? residual.data() : nullptr, weight.data(), out.data(), rows, dim});
    std::vector<double> sum = as_double(x), expected;
    if (with_residual) for (int i = 0; i < rows * dim; ++i) sum[i] += before[i];
    for (int i = 0; i < rows; ++i) {
      double squares = 0;
      for (int c = 0; c < dim; ++c) squares += sum[i * dim + c] * sum[i * dim + c];
      for (int c = 0; c < dim; ++c)
        expected.push_back(sum[i * dim + c] / std::sqrt(squares / dim + 1e-5) * from(weight[c]));
    }
    EXPECT_LT(relative_error(out, expected), bound<T>());
    EXPECT_LT(relative_error(residual, with_residual ? sum : before), bound<T>() / 2);
    auto last = poisoned<T>(dim);                                       // alone, bit for bit
    auto own = random_vector<T>(rows * dim, "r");
    rmsnorm(RmsNormArgs<T>{x.data() + 4 * dim, with_residual ? own.data() + 4 * dim : nullptr, weight.data(),
                           last.data(), 1, dim});
    EXPECT_TRUE(same_bits(std::span<const T>(out).last(dim), std::span<const T>(last)));
  }
}

TYPED_TEST(Fused, SwigluIsTheFormula) {
  using T = TypeParam;
  const int rows = 3, dim = 77;
  const auto x = random_vector<T>(rows * 2 * dim, "x", 6);
  auto out = poisoned<T>(rows * dim);
  swiglu(SwigluArgs<T>{x.data(), out.data(), rows, dim});
  std::vector<double> expected;
  for (int i = 0; i < rows; ++i) {
    for (int c = 0; c < dim; ++c) {
      const double g = from(x[2 * i * dim + c]), u = from(x[(2 * i + 1) * dim + c]);
      expected.push_back(g / (1 + std::exp(-g)) * u);
    }
  }
  EXPECT_LT(relative_error(out, expected), bound<T>());
}

TYPED_TEST(Fused, RowsAreGatheredByNumber) {
  using T = TypeParam;
  const int dim = 13;
  const auto from = random_vector<T>(7 * dim, "x");
  const std::vector<std::int32_t> index{6, 0, 3, 3};
  auto out = poisoned<T>(index.size() * dim);
  gather_rows(GatherArgs<T>{from.data(), index.data(), out.data(), static_cast<std::int64_t>(index.size()), dim});
  std::vector<T> expected;
  for (const std::int32_t row : index)
    expected.insert(expected.end(), from.begin() + row * dim, from.begin() + (row + 1) * dim);
  EXPECT_TRUE(same_bits(out, expected));
}

/// Queries turn in place, keys on their way to the pool, values as they are; only the named places are written.
TYPED_TEST(Fused, RopeTurnsAndAppends) {
  using T = TypeParam;
  const int heads = 4, kv_heads = 2, d = 64, half = d / 2, page_tokens = 4, stride = (heads + 2 * kv_heads) * d;
  const std::vector<std::int32_t> table{2, 0, 3, 1}, sequence{0, 0, 1, 1, 1}, position{3, 4, 0, 1, 7};
  const int tokens = 5;
  auto qkv = random_vector<T>(tokens * stride, "qkv");
  const auto before = as_double(qkv);
  auto k = poisoned<T>(4 * page_tokens * kv_heads * d), v = k;
  const PagedKv<T> kv{k.data(), v.data(), table.data(), 2, page_tokens, kv_heads, d};
  const RopeTable<Accum<T>> rope(8, d, 10000);
  rope_append(RopeAppendArgs<T>{qkv.data(), qkv.data() + heads * d, qkv.data() + (heads + kv_heads) * d,
                                sequence.data(), position.data(), kv, rope.cosine(), rope.sine(), tokens, heads,
                                stride});
  const double tolerance = std::is_same_v<T, double> ? 1e-14 : std::is_same_v<T, float> ? 3e-7 : 1e-2;
  for (int t = 0; t < tokens; ++t) {
    for (int h = 0; h < heads + kv_heads; ++h) {
      const T* got = h < heads ? qkv.data() + t * stride + h * d : kv.key(sequence[t], position[t], h - heads);
      const double* x = before.data() + t * stride + h * d;
      for (int c = 0; c < half; ++c) {
        const double angle = position[t] * std::pow(10000.0, -2.0 * c / d);
        EXPECT_NEAR(from(got[c]), x[c] * std::cos(angle) - x[c + half] * std::sin(angle), tolerance);
        EXPECT_NEAR(from(got[c + half]), x[c + half] * std::cos(angle) + x[c] * std::sin(angle), tolerance);
      }
    }
    for (int h = 0; h < kv_heads; ++h)
      for (int c = 0; c < d; ++c)
        EXPECT_EQ(from(kv.value(sequence[t], position[t], h)[c]), before[t * stride + (heads + kv_heads + h) * d + c]);
  }
  const auto written = std::count_if(k.begin(), k.end(), [](const T& x) { return from(x) == from(x); });
  EXPECT_EQ(written, tokens * kv_heads * d);
}

/// What RoPE is for: q k depends on the distance alone.
TEST(Rope, ScoresDependOnTheDistance) {
  const int d = 128;
  const RopeTable<double> rope(2000, d, 500000);
  const auto x = random_vector<double>(d, "q"), y = random_vector<double>(d, "k");
  const auto score = [&](int p, int r) {
    auto q = x, k = y, v = y;
    std::vector<double> pool_k(d), pool_v(d);
    std::vector<std::int32_t> table{0}, sequence{0}, at{0};
    const PagedKv<double> kv{pool_k.data(), pool_v.data(), table.data(), 1, 1, 1, d};
    const auto turn = [&](std::vector<double>& z, int place) {
      const RopeAppendArgs<double> a{z.data(), k.data(), v.data(), sequence.data(), at.data(), kv,
                                     rope.cosine() + place * d / 2, rope.sine() + place * d / 2, 1, 1, 0};
      rope_append(a);
    };
    turn(q, p);
    turn(k, r);
    double s = 0;
    for (int c = 0; c < d; ++c) s += q[c] * k[c];
    return s;
  };
  EXPECT_NEAR(score(100, 37), score(1900, 1837), 1e-9);
  EXPECT_GT(std::fabs(score(100, 37) - score(100, 99)), 1e-3);
}

}  // namespace
}  // namespace orrery
