/// Laws of whole steps: fitted to steps of a known law, with and without noise; and to the CPU engine.
#include "calibrate/step/step_fit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calibrate/fit/least_squares.hpp"
#include "calibrate/fit/residual_fit.hpp"
#include "calibrate/live/cpu_device.hpp"
#include "calibrate/live/live_step_engine.hpp"
#include "calibrate/step/step_calibration.hpp"
#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// Takes exactly what a law says, times lognormal noise.
class LawEngine final : public StepEngine {
 public:
  LawEngine(StepLaw law, double noise) : law_(std::move(law)), noise_(noise) {}
  double run(const StepBatch& b) override {
    double z = -6;
    for (int i = 0; i < 12; ++i) z += rng_.uniform();
    return law_.predict(b.shape()) * std::exp(noise_ * z);
  }
  std::string_view name() const override { return "law"; }
  std::int64_t row_tile() const override { return law_.row_tile; }

 private:
  StepLaw law_;
  double noise_;
  Rng rng_{5, Purpose::kFuzz, 1};
};

StepLaw known_law() {
  StepLaw law;
  law.seconds = {300e-6, 90e-6, 40e-6, 0.2e-6, 0.1e-6, 15e-6};
  law.row_tile = 3;
  return law;
}

TEST(StepFit, NonNegativeLeastSquaresHoldsAtZeroWhatWouldBeNegative) {
  Eigen::MatrixXd a(4, 2);
  a << 1, 1, 1, 2, 1, 3, 1, 4;
  const Eigen::VectorXd free = non_negative_least_squares(a, Eigen::Vector4d(3, 5, 7, 9));   // 1 + 2 x
  EXPECT_NEAR(free[0], 1, 1e-9);
  EXPECT_NEAR(free[1], 2, 1e-9);
  const Eigen::VectorXd bound = non_negative_least_squares(a, Eigen::Vector4d(1, 3, 5, 7));  // -1 + 2 x
  EXPECT_EQ(bound[0], 0);
  EXPECT_NEAR(bound[1], 50.0 / 30, 1e-9);                                                    // sum x y / sum x^2
}

TEST(StepFit, RecoversAKnownLawExactly) {
  LawEngine engine(known_law(), 0);
  StepCalibrator c(engine, {});
  c.round();
  const StepCalibration fit = c.result();
  for (std::size_t i = 0; i < StepLaw::kTerms; ++i)
    EXPECT_NEAR(fit.law.seconds[i] / known_law().seconds[i], 1, 1e-6) << i;
  EXPECT_LT(fit.held_out.mape, 0.01);
}

TEST(StepFit, NoiseOfFivePercentIsAveragedOverRoundsAndBatches) {
  LawEngine engine(known_law(), 0.05);
  StepCalibrator c(engine, {});
  for (int i = 0; i < 7; ++i) c.round();
  const StepCalibration fit = c.result();
  EXPECT_LT(fit.held_out.mape, 2.5);        // of a median of seven: mean absolute error 1.9 %
  EXPECT_NEAR(fit.noise, 3.4, 1.0);         // quartiles of a normal: 0.674 sigma
  EXPECT_LT(fit.drift, 2.0);
  const StepError truth = error_of(
      fit.law,
      std::vector<StepSample>{{{.chunks = {}, .decodes = std::vector<Tokens>(16, 200_tok)},
                               {known_law().predict(StepBatch{{}, std::vector<Tokens>(16, 200_tok)}.shape())}}});
  EXPECT_LT(truth.mape, 2);
}

TEST(StepFit, DriftIsTheSpreadOfTheRoundsAfterTheFirst) {
  const auto sample = [](std::vector<double> s) { return StepSample{{{}, {1_tok}}, std::move(s)}; };
  EXPECT_NEAR(drift_percent({sample({9, 1, 1, 1, 1.1}), sample({9, 2, 2, 2, 2.2})}), 10, 1e-9);
  EXPECT_EQ(drift_percent({sample({9, 1.0})}), 0);
}

TEST(StepFit, BatchesAreWithinTheirLimits) {
  const StepCalibrationOptions o{.max_sequences = 6, .token_budget = 20, .max_context = 33, .batches = 500};
  int alone = 0, mixed = 0;
  for (const StepBatch& b : random_batches(o)) {
    EXPECT_GE(b.tokens(), 1);
    EXPECT_LE(b.tokens(), 20);
    EXPECT_LE(b.decodes.size() + b.chunks.size(), 6u);
    for (const Tokens context : b.decodes) EXPECT_TRUE(context >= 1_tok && context <= 33_tok);
    for (const ChunkShape& c : b.chunks) EXPECT_TRUE(c.q >= 1_tok && c.q + c.context <= 33_tok && c.context >= 0_tok);
    alone += b.chunks.empty() ? 1 : 0;
    mixed += !b.chunks.empty() && !b.decodes.empty() ? 1 : 0;
  }
  EXPECT_GT(alone, 200);
  EXPECT_GT(mixed, 150);
}

/// Runs real kernels. Time is the machine's; what is asserted holds on any: more work takes longer, and a law fitted to
/// it explains most of it.
TEST(LiveStepEngine, AFittedLawPredictsBatchesThatWereNotFitted) {
  const auto device = make_cpu_device(live_model("llama-tiny", {}), {});
  LiveStepEngine engine(*device, {.max_sequences = 8, .max_context = 128});
  StepCalibrator c(engine, {.max_sequences = 8, .token_budget = 32, .max_context = 128, .batches = 60});
  for (int i = 0; i < 5; ++i) c.round();
  const StepCalibration fit = c.result();
  std::vector<double> times;
  for (const StepSample& sample : fit.samples) times.push_back(sample.median());
  double spread = 0;                                   // error of saying "the middle one" for every batch
  for (const double t : times)
    spread += 100 * std::abs(quantile(times, 0.5) / t - 1) / static_cast<double>(times.size());
  EXPECT_LT(fit.held_out.mape, 0.4 * spread);
  StepBatch few{{}, {16_tok}}, many{{}, std::vector<Tokens>(8, 100_tok)};
  EXPECT_LT(3 * fit.law.predict(few.shape()) / 2, fit.law.predict(many.shape()));
}

TEST(LiveStepEngine, RefusesWhatItCannotRun) {
  ModelShape m = load_model("llama-tiny", {});
  m.gated = false;
  EXPECT_THROW(live_model_of(m), ConfigError);
  m.gated = true;
  m.head_dim = 33;
  EXPECT_THROW(make_cpu_device(live_model_of(m), {}), ConfigError);
  const auto device = make_cpu_device(live_model("llama-tiny", {}), {});
  LiveStepEngine engine(*device, {.max_sequences = 2, .max_context = 32});
  EXPECT_THROW(engine.run({{}, std::vector<Tokens>(2, 60_tok)}), std::length_error);
}

}  // namespace
}  // namespace orrery
