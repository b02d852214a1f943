#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "kernels/grouped_gemm/grouped_gemm_gpu.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class Experts : public GpuCheck {};

struct Routed {
  std::vector<std::int32_t> ids, offsets, source, place;
  std::vector<float> weights;
};

Routed route(const std::vector<Bf16>& logits, int tokens, int experts, int top_k) {
  const DeviceBuffer<Bf16> in(logits, "logits");
  DeviceBuffer<std::int32_t> ids(tokens * top_k, "ids"), offsets(experts + 1, "offsets"),
      source(tokens * top_k, "source"), place(tokens * top_k, "place");
  DeviceBuffer<float> weights(tokens * top_k, "weights");
  for (auto* b : {&ids, &offsets, &source, &place}) b->poison();
  weights.poison();
  route_top_k({in.data(), ids.data(), weights.data(), tokens, experts, top_k}, nullptr);
  group_by_expert({ids.data(), tokens * top_k, experts, {offsets.data(), source.data(), place.data()}}, nullptr);
  return {ids.download(), offsets.download(), source.download(), place.download(), weights.download()};
}

TEST_F(Experts, AreChosenAndGroupedAsOnTheCpu) {
  const int shapes[][3] = {{1, 2, 1}, {3, 8, 2}, {700, 8, 2}, {65, 33, 4}, {40, 256, 8}};
  for (const auto& [tokens, experts, top_k] : shapes) {
    auto logits = random_vector<Bf16>(static_cast<std::size_t>(tokens) * experts, "logits", 4);   // with many ties
    for (int e = 1; e < experts; e += 3) logits[e] = logits[0];
    std::vector<std::int32_t> ids(tokens * top_k);
    std::vector<float> weights(tokens * top_k);
    orrery::route_top_k(RouteArgs<Bf16>{logits.data(), ids.data(), weights.data(), tokens, experts, top_k});
    const Routing expected = orrery::group_by_expert(ids, experts);
    const Routed got = route(logits, tokens, experts, top_k);
    EXPECT_EQ(got.ids, ids) << tokens << ' ' << experts;
    EXPECT_LT(relative_error(got.weights, weights), 1e-5);
    EXPECT_EQ(got.offsets, expected.offsets);
    EXPECT_EQ(got.source, expected.source);
    EXPECT_EQ(got.place, expected.place);
  }
  EXPECT_THROW(route_top_k({.tokens = 1, .experts = 4, .top_k = 5}, nullptr), std::invalid_argument);
}

struct MoeCase {
  int tokens, experts, top_k, n, k;
  int skew;                                  ///< tokens in a hundred that all go to the first experts
};

/// Gathered, multiplied and combined; experts that nobody chose have weights of NaN.
void check_mixture(const MoeCase& c, GroupedKernel kernel = GroupedKernel::kMma) {
  const int assignments = c.tokens * c.top_k;
  auto logits = random_vector<Bf16>(static_cast<std::size_t>(c.tokens) * c.experts, "logits", 2);
  for (int t = 0; t < c.tokens; ++t) {
    logits[t * c.experts + c.experts - 1] = to<Bf16>(-100.0f);      // the last one gets none
    for (int e = 0; t * 100 < c.skew * c.tokens && e < c.top_k; ++e) logits[t * c.experts + e] = to<Bf16>(50.0f);
  }
  const Routed r = route(logits, c.tokens, c.experts, c.top_k);
  const auto x = random_vector<Bf16>(static_cast<std::size_t>(c.tokens) * c.k, "x");
  auto w = random_vector<Bf16>(static_cast<std::size_t>(c.experts) * c.n * c.k, "w");
  for (int e = 0; e < c.experts; ++e) {
    if (r.offsets[e] == r.offsets[e + 1])
      fill_poison(std::span<Bf16>(w).subspan(std::size_t(e) * c.n * c.k, std::size_t(c.n) * c.k));
  }
  const auto wide_x = as_double(x), wide_w = as_double(w);
  std::vector<double> y_expected(static_cast<std::size_t>(assignments) * c.n),
      out_expected(static_cast<std::size_t>(c.tokens) * c.n);
  const GroupedGemmArgs<double> wide{.x = wide_x.data(),
                                     .w = wide_w.data(),
                                     .y = y_expected.data(),
                                     .offsets = r.offsets.data(),
                                     .source = r.source.data(),
                                     .experts = c.experts,
                                     .top_k = c.top_k,
                                     .n = c.n,
                                     .k = c.k};
  orrery::grouped_gemm(wide);
  const std::vector<double> weights(r.weights.begin(), r.weights.end());
  orrery::combine_experts(CombineArgs<double>{y_expected.data(), r.place.data(), weights.data(), out_expected.data(),
                                              c.tokens, c.top_k, c.n});

  const DeviceBuffer<Bf16> x_d(x, "x"), w_d(w, "w");
  const DeviceBuffer<std::int32_t> offsets(r.offsets, "offsets"), source(r.source, "source"), place(r.place, "place");
  const DeviceBuffer<float> weights_d(r.weights, "weights");
  DeviceBuffer<Bf16> y(y_expected.size(), "y"), out(out_expected.size(), "out");
  y.poison();
  out.poison();
  grouped_gemm({.x = x_d.data(), .w = w_d.data(), .y = y.data(), .offsets = offsets.data(), .source = source.data(),
                .experts = c.experts, .top_k = c.top_k, .n = c.n, .k = c.k}, assignments,
               device_processors(), nullptr, kernel);
  EXPECT_LT(relative_error(y.download(), y_expected), bound<Bf16>()) << c.tokens << ' ' << c.experts;
  combine_experts({y.data(), place.data(), weights_d.data(), out.data(), c.tokens, c.top_k, c.n}, nullptr);
  EXPECT_LT(relative_error(out.download(), out_expected), bound<Bf16>()) << c.tokens << ' ' << c.experts;
}

TEST_F(Experts, Balanced) {
  check_mixture({5, 8, 2, 136, 72, 0});          // tiles of 16 rows
  check_mixture({60, 4, 2, 264, 64, 0});         // of 64
  check_mixture({170, 3, 2, 136, 128, 0});       // of 128
}

TEST_F(Experts, Skewed) {
  check_mixture({70, 33, 2, 128, 64, 80});
  check_mixture({150, 9, 2, 128, 72, 90});
  check_mixture({160, 3, 1, 40, 64, 100});
}

/// On Hopper: one step of k and many, ends of n and k inside a tile, one tile an expert and several.
TEST_F(Experts, ByWarpgroups) {
  if (device_generation() / 10 != 9) GTEST_SKIP() << "not a Hopper GPU";
  check_mixture({5, 8, 2, 40, 8, 0}, GroupedKernel::kWarpgroups);
  check_mixture({90, 3, 2, 264, 136, 0}, GroupedKernel::kWarpgroups);
  check_mixture({150, 2, 1, 520, 456, 100}, GroupedKernel::kWarpgroups);
  check_mixture({70, 33, 2, 256, 64, 80}, GroupedKernel::kWarpgroups);
}

/// In the order of the experts already, as for the second product of an expert.
TEST_F(Experts, WithoutGathering) {
  const int rows = 21, n = 24, k = 40, experts = 3;
  const std::vector<std::int32_t> offsets{0, 4, 4, 21};
  const auto x = random_vector<Bf16>(rows * k, "x"), w = random_vector<Bf16>(experts * n * k, "w");
  const auto wide_x = as_double(x), wide_w = as_double(w);
  std::vector<double> expected(rows * n);
  orrery::grouped_gemm(GroupedGemmArgs<double>{.x = wide_x.data(), .w = wide_w.data(), .y = expected.data(),
                                               .offsets = offsets.data(), .experts = experts, .n = n, .k = k});
  const DeviceBuffer<Bf16> x_d(x, "x"), w_d(w, "w");
  const DeviceBuffer<std::int32_t> offsets_d(offsets, "offsets");
  DeviceBuffer<Bf16> y(rows * n, "y");
  y.poison();
  grouped_gemm({.x = x_d.data(),
                .w = w_d.data(),
                .y = y.data(),
                .offsets = offsets_d.data(),
                .experts = experts,
                .n = n,
                .k = k},
               rows, device_processors(), nullptr);
  EXPECT_LT(relative_error(y.download(), expected), bound<Bf16>());
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
