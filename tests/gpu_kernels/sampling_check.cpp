#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "kernels/sampling/sampling_gpu.hpp"
#include "tests/gpu_kernels/gpu_check.hpp"

namespace orrery::ORRERY_GPU {
namespace {

class Sampling : public GpuCheck {};

std::vector<std::int32_t> sampled(const std::vector<Bf16>& logits, int vocab, const std::vector<SampleParams>& params) {
  const DeviceBuffer<Bf16> in(logits, "logits");
  const DeviceBuffer<SampleParams> params_d(params, "params");
  DeviceBuffer<std::int32_t> out(params.size(), "out");
  out.poison();
  sample({in.data(), vocab, static_cast<std::int64_t>(params.size()), params_d.data(), out.data()}, nullptr);
  return out.download();
}

std::vector<std::int32_t> expected(const std::vector<Bf16>& logits, int vocab,
                                   const std::vector<SampleParams>& params) {
  const auto wide = as_double(logits);
  std::vector<std::int32_t> out(params.size());
  orrery::sample(
      SampleArgs<double>{wide.data(), vocab, static_cast<std::int64_t>(params.size()), params.data(), out.data()});
  return out;
}

/// Rows of logits between -8 and 8: with many equal ones, as bf16 has few numbers.
std::vector<Bf16> rows_of(int rows, int vocab) {
  return random_vector<Bf16>(static_cast<std::size_t>(rows) * vocab, "logits", 8);
}

/// How far the random number lies from the interval of `token` in the distribution that the rules leave, in double: 0
/// if the token is the one to draw, more than rounding if it is another.
double miss(std::span<const Bf16> logits, const SampleParams& p, std::int32_t token) {
  const auto vocab = static_cast<std::int32_t>(logits.size());
  const bool limited = (p.top_k > 0 && p.top_k < vocab) || p.top_p < 1;
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::int32_t i) { return double{from(logits[i])} / p.temperature; };
  if (limited) std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return value(a) > value(b); });
  double most = -INFINITY;
  for (std::int32_t i : order) most = std::max(most, value(i));
  std::vector<double> sum{0};                                        // of the first i in the order
  for (std::int32_t i : order) sum.push_back(sum.back() + std::exp(value(i) - most));
  double kept = sum[p.top_k > 0 && p.top_k < vocab ? p.top_k : vocab];
  if (p.top_p < 1) kept = *std::lower_bound(sum.begin() + 1, sum.end(), double{p.top_p} * kept);
  const auto at = std::find(order.begin(), order.end(), token) - order.begin();
  if (at == vocab) return INFINITY;
  const double u = sample_uniform(p.seed, p.sequence, p.position);
  return std::max({0.0, sum[at] / kept - u, u - sum[at + 1] / kept});
}

/// Every combination of limits: the token that the random number asks for, up to rounding of the sums; in a small
/// vocabulary, where no boundary is that near, the CPU's own.
TEST_F(Sampling, DrawsAsTheCpuDoes) {
#if defined(ORRERY_GPU_CUDA)
  const int rows = 16, vocabs[] = {8, 1000, 32000, 128256};
#else
  const int rows = 6, vocabs[] = {8, 1000, 4104};
#endif
  for (const int vocab : vocabs) {
    const auto logits = rows_of(rows, vocab);
    int different = 0;
    for (const auto& [top_k, top_p] : {std::pair{0, 1.0f}, {1, 1.0f}, {7, 1.0f}, {50, 0.9f}, {0, 0.5f}, {0, 0.999f},
                                       {200000, 1.0f}, {300, 0.01f}}) {
      std::vector<SampleParams> params;
      for (int i = 0; i < rows; ++i) {
        params.push_back({.temperature = i % 3 == 0 ? 1.0f : i % 3 == 1 ? 0.7f : 3.0f, .top_k = top_k, .top_p = top_p,
                          .seed = test_seed(), .sequence = static_cast<std::uint64_t>(i), .position = top_k + 17});
      }
      const auto got = sampled(logits, vocab, params);
      const auto want = vocab <= 1000 ? expected(logits, vocab, params) : got;
      for (int i = 0; i < rows; ++i) {
        different += got[i] != want[i];
        EXPECT_LT(miss(std::span(logits).subspan(i * vocab, vocab), params[i], got[i]), 1e-5)
            << "vocabulary " << vocab << ", top-k " << top_k << ", top-p " << top_p << ", row " << i;
      }
    }
    EXPECT_LE(different, 1) << "of " << 8 * rows << " draws of " << vocab;
  }
}

/// The check above sees a neighbour that is drawn instead.
TEST_F(Sampling, TheCheckKnowsANeighbour) {
  const auto logits = rows_of(1, 1000);
  const SampleParams p{.temperature = 1, .top_k = 50, .top_p = 0.9f, .seed = test_seed(), .sequence = 3, .position = 4};
  const std::int32_t right = expected(logits, 1000, {p}).front();
  EXPECT_LT(miss(logits, p, right), 1e-12);
  int near = 0;
  for (std::int32_t token = 0; token < 1000; ++token) near += miss(logits, p, token) < 1e-5;
  EXPECT_GE(near, 1);
  EXPECT_LE(near, 2);                        // u may lie at a boundary
}

TEST_F(Sampling, TheLikeliestIsTheFirstOfEquals) {
  const int rows = 6, vocab = 5000;
  auto logits = rows_of(rows, vocab);
  for (int r = 0; r < rows; ++r) {
    for (int i : {17 + r, 18 + r, 4999}) logits[r * vocab + i] = to<Bf16>(9.0f);
  }
  const auto got = sampled(logits, vocab, std::vector<SampleParams>(rows));
  for (int r = 0; r < rows; ++r) EXPECT_EQ(got[r], 17 + r);
}

/// The same row in another place of another batch.
TEST_F(Sampling, ATokenDoesNotDependOnTheBatch) {
  const int rows = 6, vocab = 1024;
  const auto logits = rows_of(rows, vocab);
  std::vector<SampleParams> params;
  for (int i = 0; i < rows; ++i) {
    params.push_back({.temperature = 1, .top_k = i % 2 ? 40 : 0, .top_p = i % 3 ? 0.9f : 1.0f, .seed = 5,
                      .sequence = static_cast<std::uint64_t>(i), .position = 3});
  }
  const auto all = sampled(logits, vocab, params);
  for (int i = rows; i-- > 0;) {
    const std::vector<Bf16> row(logits.begin() + i * vocab, logits.begin() + (i + 1) * vocab);
    EXPECT_EQ(sampled(row, vocab, {params[i]}).front(), all[i]);
  }
}

/// Masked tokens (minus infinity) and those far below are never drawn; a single token with all the mass always is.
TEST_F(Sampling, ImpossibleTokensAreNotDrawn) {
  const int vocab = 1024;
  std::vector<Bf16> logits(3 * vocab, to<Bf16>(-INFINITY));
  for (int i = 0; i < vocab; i += 2) logits[i] = to<Bf16>(1.0f);                 // even ones, all alike
  for (int i = 0; i < vocab; ++i) logits[vocab + i] = to<Bf16>(i == 700 ? 0.0f : -60.0f);
  logits[2 * vocab + 5] = to<Bf16>(-3.0f);
  for (const auto& [top_k, top_p] : {std::pair{0, 1.0f}, {10, 1.0f}, {0, 0.3f}, {600, 0.99f}}) {
    for (int position = 0; position < 3; ++position) {
      std::vector<SampleParams> params(3, {.temperature = 1, .top_k = top_k, .top_p = top_p, .seed = test_seed(),
                                           .sequence = 1, .position = position});
      const auto got = sampled(logits, vocab, params);
      EXPECT_EQ(got[0] % 2, 0);
      EXPECT_LT(got[0], top_k == 10 ? 20 : vocab);                               // equals rank by token
      EXPECT_EQ(got[1], 700);
      EXPECT_EQ(got[2], 5);
    }
  }
  EXPECT_THROW(sample({.vocab = 12, .rows = 1}, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace orrery::ORRERY_GPU
