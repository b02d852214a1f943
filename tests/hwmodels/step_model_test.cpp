#include "hwmodels/step_model.hpp"

#include <gtest/gtest.h>

#include "sim/config/value.hpp"

namespace orrery {
namespace {

StepLaw law_with_residual() {
  StepLaw law;
  law.seconds = {300e-6, 90e-6, 40e-6, 0.2e-6, 0.1e-6, 15e-6};
  law.row_tile = 3;
  law.low = {0, 0, 0, 0};
  law.high = {7, 13, 16, 5};
  law.host_bytes_per_s = 1e9;
  law.mape = 2, law.p95 = 5, law.sigma = 1;
  std::vector<std::int16_t> values;
  for (int i = 0; i < 8 * 7; ++i) values.push_back(static_cast<std::int16_t>((i * 37) % 80 - 40));
  law.residual = ResidualGrid({{0, 1, 8}, {0, 2, 7}, {0, 1, 1}, {0, 1, 1}}, values);
  return law;
}

StepShape decodes(std::int64_t n, std::int64_t context) {
  StepShape x;
  x.decodes = Tokens{n};
  x.decode_context = Tokens{context};
  x.sequences = x.outputs = static_cast<std::int32_t>(n);
  return x;
}

TEST(StepModel, ADecodeRunIsTheSumOfItsSteps) {
  const StepCostModel model(law_with_residual());
  for (const std::int64_t n : {1, 2, 3, 7, 24}) {
    for (std::int64_t context = n; context < 4000; context = context * 3 / 2 + 1) {
      const StepShape x = decodes(n, context);
      const StepRun run = model.price({&x, 1}, 0);
      ASSERT_GE(run.valid, 1);
      for (std::int64_t j = 0; j < run.valid; ++j) {
        const StepShape later = decodes(n, context + j * n);
        ASSERT_EQ(model.price({&later, 1}, 0).first, run.at(j)) << n << " at " << context << " + " << j;
      }
    }
  }
}

TEST(StepModel, TermsAreWhatTheyMultiply) {
  StepLaw law = law_with_residual();
  law.residual = {};
  StepShape x = decodes(2, 500);
  x.prefill = 3_tok;
  x.prefill_pairs = 40;
  x.sequences = 3;
  // 300 + 5 tokens * 90 + 2 loose * 40 + 500 * 0.2 + 40 * 0.1 + 3 * 15 us
  EXPECT_NEAR(law.predict(x) * 1e6, 300 + 450 + 80 + 100 + 4 + 45, 1e-9);
  x.host_in = 1000_B;
  EXPECT_EQ(StepCostModel(law).price({&x, 1}, 0).first, from_seconds(979e-6 + 1e-6));
  EXPECT_TRUE(law.in_range(x));
  x.prefill_pairs = 1 << 17;
  EXPECT_FALSE(law.in_range(x));
}

TEST(StepModel, ReadsWhatItWrites) {
  const StepLaw law = law_with_residual();
  const StepLaw back = step_law_from_json(parse_json(to_json(to_value(law))));
  EXPECT_EQ(back.seconds, law.seconds);
  EXPECT_EQ(back.low, law.low);
  EXPECT_EQ(back.high, law.high);
  EXPECT_EQ(back.residual.thousandths(), law.residual.thousandths());
  for (std::int64_t n = 1; n < 50; n += 3) EXPECT_EQ(back.predict(decodes(n, 31 * n)), law.predict(decodes(n, 31 * n)));
  EXPECT_THROW(step_law_from_json(parse_json(R"({"terms": {"step_s": -1}})")), ConfigError);
}

}  // namespace
}  // namespace orrery
