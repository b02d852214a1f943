/// The parallelisation controller of SpotServe on the artifact's measured times (cost profile spotserve): what its
/// solver answers for GPT-20B at 0.4 requests a second, for every number of T4 from 12 to 48.
#include <gtest/gtest.h>

#include <array>
#include <deque>

#include "hwmodels/profile.hpp"
#include "policies/spot/parallelization.hpp"

namespace orrery {
namespace {

constexpr RequestShape kRequest{Tokens{512}, Tokens{128}};

/// Every split and batch that the artifact's solver looks at: T in {1, 2, 4, 8}, P from ceil(12 / T) on with P dividing
/// the 48 padded layers and TP <= 48, B in {1, 2, 4}.
class Gpt20b : public testing::Test {
 protected:
  Gpt20b() {
    const Profile profile = load_profile("spotserve", {});
    const ModelShape model = load_model("gpt-20b", {});
    const Hardware t4 = load_hardware("t4", {});
    for (const int tp : {1, 2, 4, 8})
      for (int pp = (12 + tp - 1) / tp; tp * pp <= 48 && pp <= 44; ++pp) {
        if (48 % pp != 0) continue;
        models_.emplace_back(profile.entry(model, t4, {.tp = tp, .pp = pp}), model, t4, Parallel{.tp = tp, .pp = pp});
        for (const int batch : {1, 2, 4}) {
          shapes_.push_back({tp, pp, batch, &models_.back()});
          latencies_.push_back(latency(shapes_.back(), kRequest));
        }
      }
  }

  /// (D, T, P, B), the latency to a millisecond, and the rate.
  void expect_choice(int devices, std::array<int, 4> layout, double seconds, double rate) const {
    SCOPED_TRACE(devices);
    const Choice c = choose_shape(shapes_, latencies_, devices, 0.4);
    ASSERT_GE(c.shape, 0);
    const PipelineShape& s = shapes_[static_cast<std::size_t>(c.shape)];
    EXPECT_EQ((std::array{c.instances, s.tp, s.pp, s.batch}), layout);
    EXPECT_NEAR(to_seconds(c.latency), seconds, 1.5e-3);   // two stages have no middle: embeddings count by micro-batch
    EXPECT_NEAR(c.rate, rate, 5e-4);
  }

  std::deque<ProfileCostModel> models_;
  std::vector<PipelineShape> shapes_;
  std::vector<Duration> latencies_;
};

TEST_F(Gpt20b, ChoosesAsTheArtifactDoes) {
  expect_choice(48, {3, 8, 2, 2}, 12.116, 0.495);
  for (const int n : {32, 36, 40, 44}) expect_choice(n, {2, 8, 2, 4}, 12.961, 0.617);
  for (const int n : {24, 28}) expect_choice(n, {2, 4, 3, 4}, 14.459, 0.553);
  for (const int n : {16, 20}) expect_choice(n, {1, 8, 2, 4}, 12.961, 0.309);   // carries most, if not enough
  expect_choice(12, {1, 4, 3, 4}, 14.459, 0.277);
  EXPECT_EQ(choose_shape(shapes_, latencies_, 8, 0.4).shape, -1);
}

TEST_F(Gpt20b, WithLittleLoadTheFastestShapeIsBest) {
  const Choice c = choose_shape(shapes_, latencies_, 48, 0.01);
  for (const Duration l : latencies_) EXPECT_LE(c.latency, l);
}

/// What it carries never shrinks with more devices while it is too little, and suffices from the first number that
/// does.
TEST_F(Gpt20b, CarriesMoreWithMoreDevicesUntilItSuffices) {
  double before = 0;
  for (int n = 12; n <= 48; ++n) {
    const Choice c = choose_shape(shapes_, latencies_, n, 0.4);
    if (before < 0.4) EXPECT_GE(c.rate, before) << n;
    else EXPECT_GE(c.rate, 0.4) << n;
    before = c.rate;
  }
}

}  // namespace
}  // namespace orrery
