#include "kernels/sampling/sampling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "tests/kernels/random_inputs.hpp"

namespace orrery {
namespace {

template <class T>
std::int32_t sample_one(const std::vector<T>& logits, const SampleParams& p) {
  std::int32_t token = -1;
  sample(SampleArgs<T>{logits.data(), static_cast<std::int64_t>(logits.size()), 1, &p, &token});
  return token;
}

/// Probabilities after top-k and top-p, by sorting everything.
std::vector<double> plain_distribution(const std::vector<float>& logits, const SampleParams& p) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  if (p.top_k > 0) order.resize(std::min<std::size_t>(order.size(), p.top_k));
  double sum = 0, reached = 0;
  for (int t : order) sum += std::exp(double{logits[t]} / p.temperature);
  std::vector<double> out(logits.size());
  for (int t : order) {
    if (reached >= p.top_p * sum * (1 - 1e-7)) break;
    reached += out[t] = std::exp(double{logits[t]} / p.temperature);
  }
  for (double& x : out) x /= reached;
  return out;
}

TEST(Sampling, TemperatureZeroIsTheLikeliest) {
  auto logits = random_vector<float>(1000, "logits");
  EXPECT_EQ(sample_one(logits, {}), std::max_element(logits.begin(), logits.end()) - logits.begin());
  logits[17] = logits[400] = logits[999] = 5;
  EXPECT_EQ(sample_one(logits, {}), 17);                                       // the smallest of equals
  EXPECT_EQ(sample_one(logits, {.temperature = 1, .top_k = 1, .sequence = 3}), 17);
  EXPECT_EQ(sample_one(logits, {.temperature = 1e-3f, .top_p = 1e-6f, .sequence = 3}), 17);
  std::vector<Bf16> coarse;
  for (float x : logits) coarse.push_back(to<Bf16>(x));
  EXPECT_EQ(sample_one(coarse, {}), 17);
}

/// 20000 draws: each token's share within 5 standard errors, and none outside the kept ones.
TEST(Sampling, FrequenciesFollowTheDistribution) {
  const auto logits = random_vector<float>(40, "logits", 2);
  for (SampleParams p : {SampleParams{.temperature = 1},
                         {.temperature = 0.5f},
                         {.temperature = 1, .top_k = 5},
                         {.temperature = 1, .top_p = 0.6f},
                         {.temperature = 2, .top_k = 12, .top_p = 0.8f}}) {
    const auto expected = plain_distribution(logits, p);
    std::map<std::int32_t, int> count;
    const int n = 20000;
    for (int i = 0; i < n; ++i) {
      p.sequence = i % 100;
      p.position = i / 100;
      p.seed = test_seed();
      ++count[sample_one(logits, p)];
    }
    for (const auto& [token, c] : count) EXPECT_GT(expected.at(token), 0) << token;
    for (std::size_t t = 0; t < logits.size(); ++t) {
      EXPECT_NEAR(count[static_cast<int>(t)], n * expected[t], 5 * std::sqrt(n * expected[t]) + 1e-9) << t;
    }
  }
}

TEST(Sampling, ADrawDependsOnItsSequenceAndPositionAlone) {
  const int vocab = 500, rows = 8;
  const auto logits = random_vector<float>(vocab * rows, "logits");
  std::vector<SampleParams> params;
  for (int i = 0; i < rows; ++i)
    params.push_back({.temperature = 1, .top_k = 50, .top_p = 0.9f, .seed = 7, .sequence = 40ull + i, .position = 3});
  std::vector<std::int32_t> all(rows, -1);
  sample(SampleArgs<float>{logits.data(), vocab, rows, params.data(), all.data()});
  for (int i = 0; i < rows; ++i) {
    const std::vector<float> row(logits.begin() + i * vocab, logits.begin() + (i + 1) * vocab);
    EXPECT_EQ(sample_one(row, params[i]), all[i]);
  }
  EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(1, 3, 2));
  EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(2, 2, 3));
  double mean = 0;
  for (int i = 0; i < 10000; ++i) mean += sample_uniform(test_seed(), 1, i) / 10000;
  EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1.0 / 12 / 10000));
}

TEST(Sampling, FloatFollowsDouble) {
  const auto logits = random_vector<float>(2000, "logits", 3);
  const auto wide = as_double(logits);
  int different = 0;
  for (int i = 0; i < 200; ++i) {
    const SampleParams p{.temperature = 0.8f, .top_k = 300, .top_p = 0.95f, .seed = 5, .sequence = 1, .position = i};
    different += sample_one(logits, p) != sample_one(wide, p);
  }
  EXPECT_LE(different, 1);                                                     // a draw within rounding of an edge
}

}  // namespace
}  // namespace orrery
