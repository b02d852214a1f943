#include "policies/kv/paged.hpp"

#include <gtest/gtest.h>

#include "policies/batching/sarathi.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

using Reserve = PagedConfig::Reserve;

Call call(int prompt, int max_tokens, int predicted = 0) {
  Call c;
  c.prompt = Tokens32{prompt};
  c.max_tokens = Tokens32{max_tokens};
  c.predicted_low = c.predicted_high = Tokens32{predicted};
  return c;
}

TEST(Paged, EachAdmissionRuleTakesWhatItsSystemTakes) {
  const Call c = call(100, 50, 20);
  EXPECT_EQ(Paged({.reserve = Reserve::kOnDemand}).reserve(c, 100_tok, 64_tok), 100_tok);    // vLLM: the prompt
  EXPECT_EQ(Paged({.reserve = Reserve::kPerChunk}).reserve(c, 100_tok, 64_tok), 64_tok);     // vLLM v1: the chunk
  EXPECT_EQ(Paged({.reserve = Reserve::kMaxNew}).reserve(c, 100_tok, 64_tok), 149_tok);      // TGI: input + max_new - 1
  EXPECT_EQ(Paged({.reserve = Reserve::kNoEvict}).reserve(c, 100_tok, 64_tok), 100_tok);     // TensorRT-LLM: the prompt
  EXPECT_EQ(Paged({.reserve = Reserve::kNoEvict}).promise(c, 100_tok), 150_tok);             //   and a promise
  EXPECT_EQ(Paged({.reserve = Reserve::kPredicted}).reserve(c, 100_tok, 64_tok), 120_tok);   // S3
}

TEST(Paged, WithoutAPredictionTheMostIsReserved) {
  EXPECT_EQ(Paged({.reserve = Reserve::kPredicted}).reserve(call(100, 50), 100_tok, 64_tok), 150_tok);
}

TEST(Paged, OnlyPromisesOfNoEvictAreCounted) {
  for (auto rule : {Reserve::kOnDemand, Reserve::kPerChunk, Reserve::kMaxNew, Reserve::kPredicted})
    EXPECT_EQ(Paged({.reserve = rule}).promise(call(100, 50), 100_tok), 0_tok);
}

TEST(Paged, AFullPredictionDoublesUpToTheMost) {
  const Paged s3({.reserve = Reserve::kPredicted});
  EXPECT_EQ(s3.regrow(call(100, 500), 120_tok), 240_tok);
  EXPECT_EQ(s3.regrow(call(100, 50), 120_tok), 150_tok);
  EXPECT_EQ(s3.regrow(call(100, 50), 150_tok), 0_tok);
  EXPECT_EQ(Paged({}).regrow(call(100, 50), 120_tok), 0_tok);   // the others grow block by block
}

TEST(Paged, MaxNewNeverNeedsABlockWhileItDecodes) {
  // The KV of the last token is never stored: with 100 + 50 - 1 tokens reserved the context stops at 149.
  EXPECT_EQ(Paged({.reserve = Reserve::kMaxNew}).reserve(call(100, 50), 100_tok, 100_tok), Tokens{100 + 50 - 1});
}

TEST(Paged, AdmissionsLeaveTheWatermarkButNotOnAnEmptyStation) {
  const Sarathi sarathi({.token_budget = 4096_tok});
  EXPECT_EQ(planned_by(sarathi, Picture().kv(100, 16, 1).decoding(1, 8).waiting(98 * 16)).admitted, (Calls{1}));
  EXPECT_EQ(planned_by(sarathi, Picture().kv(100, 16, 1).decoding(1, 8).waiting(98 * 16 + 1)).admitted, (Calls{}));
  // A call that was preempted while it filled the pool must be able to come back.
  EXPECT_EQ(planned_by(sarathi, Picture().kv(100, 16, 1).waiting(1600)).admitted, (Calls{0}));
}

}  // namespace
}  // namespace orrery
