#include "kernels/grouped_gemm/grouped_gemm.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

constexpr int kExperts = 8, kTopK = 2, kN = 37, kK = 48;

template <class T>
struct Mixture {
  std::vector<T> x, logits, w;
  std::vector<std::int32_t> ids;
  std::vector<Accum<T>> weights;
  Routing routing;
  std::vector<T> out;
};

/// Experts above `live` get no token, and their weights are NaN.
template <class T>
Mixture<T> run(int tokens, int live) {
  Mixture<T> m;
  m.x = random_vector<T>(tokens * kK, "x");
  m.logits = random_vector<T>(tokens * kExperts, "logits", 3);
  m.w = random_vector<T>(kExperts * kN * kK, "w");
  for (int t = 0; t < tokens; ++t)
    for (int e = live; e < kExperts; ++e) m.logits[t * kExperts + e] = to<T>(Accum<T>(-100));
  fill_poison(std::span<T>(m.w).subspan(live * kN * kK));
  m.ids.assign(tokens * kTopK, -1);
  m.weights = poisoned<Accum<T>>(tokens * kTopK);
  route_top_k(RouteArgs<T>{m.logits.data(), m.ids.data(), m.weights.data(), tokens, kExperts, kTopK});
  m.routing = group_by_expert(m.ids, kExperts);
  auto y = poisoned<T>(tokens * kTopK * kN);
  grouped_gemm(GroupedGemmArgs<T>{.x = m.x.data(),
                                  .w = m.w.data(),
                                  .y = y.data(),
                                  .offsets = m.routing.offsets.data(),
                                  .source = m.routing.source.data(),
                                  .experts = kExperts,
                                  .top_k = kTopK,
                                  .n = kN,
                                  .k = kK});
  m.out = poisoned<T>(tokens * kN);
  combine_experts(CombineArgs<T>{y.data(), m.routing.place.data(), m.weights.data(), m.out.data(), tokens, kTopK, kN});
  return m;
}

template <class T>
class Moe : public testing::Test {};
using Formats = testing::Types<float, Bf16, double>;
TYPED_TEST_SUITE(Moe, Formats);

TYPED_TEST(Moe, IsTheWeightedSumOfTheChosenExperts) {
  using T = TypeParam;
  const int tokens = 61;
  const auto m = run<T>(tokens, kExperts - 2);
  std::vector<double> expected(tokens * kN);
  for (int t = 0; t < tokens; ++t) {
    std::vector<int> order(kExperts);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return from(m.logits[t * kExperts + a]) > from(m.logits[t * kExperts + b]);
    });
    const double a = from(m.logits[t * kExperts + order[0]]), b = from(m.logits[t * kExperts + order[1]]);
    for (int i = 0; i < kTopK; ++i) {
      const double weight = 1 / (1 + std::exp(i ? a - b : b - a));
      for (int j = 0; j < kN; ++j)
        for (int k = 0; k < kK; ++k)
          expected[t * kN + j] += weight * from(m.x[t * kK + k]) * double{from(m.w[(order[i] * kN + j) * kK + k])};
    }
  }
  EXPECT_LT(relative_error(m.out, expected), bound<T>());
}

TYPED_TEST(Moe, RoutingConservesAssignments) {
  using T = TypeParam;
  for (int tokens : {1, 2, 200}) {
    const auto m = run<T>(tokens, kExperts);
    const Routing& r = m.routing;
    EXPECT_EQ(r.offsets.front(), 0);
    EXPECT_EQ(r.offsets.back(), tokens * kTopK);
    std::vector<int> count(kExperts);
    for (std::int32_t id : m.ids) ++count.at(id);
    for (int e = 0; e < kExperts; ++e) {
      EXPECT_EQ(r.count(e), count[e]);
      for (int row = r.offsets[e]; row < r.offsets[e + 1]; ++row) EXPECT_EQ(m.ids[r.source[row]], e);
    }
    EXPECT_EQ(std::set(r.source.begin(), r.source.end()).size(), m.ids.size());
    for (std::size_t i = 0; i < m.ids.size(); ++i) EXPECT_EQ(r.source[r.place[i]], static_cast<int>(i));
    for (int t = 0; t < tokens; ++t) {
      EXPECT_NE(m.ids[2 * t], m.ids[2 * t + 1]);
      EXPECT_GE(m.weights[2 * t], m.weights[2 * t + 1]);
      EXPECT_NEAR(m.weights[2 * t] + m.weights[2 * t + 1], 1, 1e-6);
    }
  }
}

TYPED_TEST(Moe, ATokenDoesNotSeeTheOthers) {
  using T = TypeParam;
  const auto all = run<T>(90, kExperts), few = run<T>(13, kExperts);    // the same first tokens
  EXPECT_TRUE(same_bits(std::span<const T>(all.out).first(13 * kN), std::span<const T>(few.out)));
}

TEST(Routing, TiesGoToTheSmallerExpert) {
  const std::vector<float> logits{1, 2, 2, 2};
  std::vector<std::int32_t> ids(3);
  std::vector<float> weights(3);
  route_top_k(RouteArgs<float>{logits.data(), ids.data(), weights.data(), 1, 4, 3});
  EXPECT_EQ(ids, (std::vector<std::int32_t>{1, 2, 3}));
  EXPECT_FLOAT_EQ(weights[2], 1.0f / 3);
}

}  // namespace
}  // namespace orrery
