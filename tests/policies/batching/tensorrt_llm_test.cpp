#include "policies/batching/tensorrt_llm.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kNoEvict{.reserve = PagedConfig::Reserve::kNoEvict, .watermark = 0};
constexpr PagedConfig kMaxUtilisation{.watermark = 0};

/// One call decodes with 32 of its 32 + 99 tokens; the other would fit now, but not with both at their longest.
Picture half_full(PagedConfig kv) { return Picture().kv(12).policy(kv).decoding(1, 32).waiting(64); }

TEST(TensorRtLlm, GuaranteedNoEvictCountsPromises) {
  EXPECT_EQ(planned_by(TensorRtLlm({}), half_full(kNoEvict)).admitted, (Calls{}));
}

TEST(TensorRtLlm, MaxUtilisationTakesWhatFitsNow) {
  EXPECT_EQ(planned_by(TensorRtLlm({}), half_full(kMaxUtilisation)).admitted, (Calls{1}));
}

TEST(TensorRtLlm, AfterAPauseNobodyNewIsTakenIn) {
  const Planned plan = planned_by(TensorRtLlm({}), Picture().kv(4).policy(kMaxUtilisation).decoding(2, 32).waiting(4));
  EXPECT_EQ(plan.left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_EQ(plan.admitted, (Calls{}));
}

TEST(TensorRtLlm, StaticBatchWaitsUntilAllAreDone) {
  const TensorRtLlm trt({.static_batch = true});
  EXPECT_EQ(planned_by(trt, Picture().decoding(1, 32).waiting(64)).admitted, (Calls{}));
  EXPECT_EQ(planned_by(trt, Picture().waiting(64).waiting(64)).admitted, (Calls{0, 1}));
  EXPECT_FALSE(trt.returns_whole_batch());
}

TEST(TensorRtLlm, MaxNumTokensBoundsAnIteration) {
  const auto picture = Picture().decoding(10, 32).waiting(60).waiting(31);
  EXPECT_EQ(planned_by(TensorRtLlm({.token_budget = 100_tok}), picture).chunks, (Chunks{{10, 60}}));
  EXPECT_EQ(planned_by(TensorRtLlm({.token_budget = 101_tok}), picture).chunks, (Chunks{{10, 60}, {11, 31}}));
  const TensorRtLlm chunked({.token_budget = 100_tok, .chunked_prefill = true});
  EXPECT_EQ(planned_by(chunked, picture).chunks, (Chunks{{10, 60}, {11, 30}}));
}

TEST(TensorRtLlm, DiffersFromOrcaInTheBudget) {
  const auto picture = Picture().decoding(10, 32).waiting(8000).waiting(500);
  EXPECT_EQ(planned_by(TensorRtLlm({}), picture).admitted, (Calls{10}));   // 8190 of 8192 tokens
  EXPECT_EQ(planned_by(Orca({}), picture).admitted, (Calls{10, 11}));
}

}  // namespace
}  // namespace orrery
