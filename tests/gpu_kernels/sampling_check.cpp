#include <gtest/gtest.h>

#include <algorithm>
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

/// Every combination of limits, against the CPU in double. The two may differ only where the random number falls within
/// rounding (about 1e-6) of a boundary between two tokens.
TEST_F(Sampling, DrawsAsTheCpuDoes) {
#if defined(ORRERY_GPU_CUDA)
  const int rows = 64, vocabs[] = {8, 1000, 32000, 128256};
#else
  const int rows = 6, vocabs[] = {8, 1000, 4104};
#endif
  for (const int vocab : vocabs) {
    const auto logits = rows_of(rows, vocab);
    int different = 0;
    for (const auto& [top_k, top_p] : {std::pair{0, 1.0f}, {1, 1.0f}, {7, 1.0f}, {50, 0.9f}, {0, 0.5f}, {0, 0.999f},
                                       {100000, 1.0f}, {300, 0.01f}}) {
      std::vector<SampleParams> params;
      for (int i = 0; i < rows; ++i) {
        params.push_back({.temperature = i % 3 == 0 ? 1.0f : i % 3 == 1 ? 0.7f : 3.0f, .top_k = top_k, .top_p = top_p,
                          .seed = test_seed(), .sequence = static_cast<std::uint64_t>(i), .position = top_k + 17});
      }
      const auto got = sampled(logits, vocab, params), want = expected(logits, vocab, params);
      for (int i = 0; i < rows; ++i) different += got[i] != want[i];
    }
    EXPECT_LE(different, 1) << "of " << 8 * rows << " draws of " << vocab;
  }
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
