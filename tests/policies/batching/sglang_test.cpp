#include "policies/batching/sglang.hpp"

#include <gtest/gtest.h>

#include "policies/batching/vllm.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

constexpr PagedConfig kPerChunk{.reserve = PagedConfig::Reserve::kPerChunk, .watermark = 0};

/// 1000 slots; two calls with 100 tokens each, 1 of 301 tokens delivered, so 300 each to come; a prompt of 100 waits.
Picture station() {
  return Picture()
      .kv(1000, 1)
      .policy(kPerChunk)
      .decoding(2, 100, {.max_tokens = 301})
      .waiting(100, {.max_tokens = 280});
}

TEST(Sglang, SetsTheRatioOfWhatRunningCallsMayStillTakeAside) {
  // 800 free - 0.7 * 600 = 380 left (419.99 set aside, rounded down: 381). 100 + 280 < 381 fits, one token more does
  // not.
  EXPECT_EQ(planned_by(Sglang({}), station()).admitted, (Calls{2}));
  const auto more =
      Picture().kv(1000, 1).policy(kPerChunk).decoding(2, 100, {.max_tokens = 301}).waiting(100, {.max_tokens = 281});
  EXPECT_EQ(planned_by(Sglang({}), more).admitted, (Calls{}));
  EXPECT_EQ(planned_by(Sglang({}), more).repeat, 1);   // with every step the ratio falls: ask again
}

TEST(Sglang, TheRatioFallsFrom0p7To0p098In600Steps) {
  const auto picture =
      Picture().kv(1000, 1).policy(kPerChunk).decoding(2, 100, {.max_tokens = 301}).waiting(100, {.max_tokens = 641});
  Sglang stepped({}), at_once({});
  EXPECT_EQ(planned_by(at_once, picture).admitted, (Calls{}));
  for (int i = 0; i < 600; ++i) stepped.on_steps(1, {});
  at_once.on_steps(600, {});
  EXPECT_EQ(planned_by(stepped, picture).admitted, (Calls{2}));   // 800 - 0.098 * 600 = 741.2 > 100 + 641 - 1
  EXPECT_EQ(planned_by(stepped, picture), planned_by(at_once, picture));
  at_once.on_event({CallEvent::kPreempted, {}, nullptr, Time{}, 0});
  EXPECT_EQ(planned_by(at_once, picture).admitted, (Calls{}));    // a retraction starts it again
}

TEST(Sglang, PromptsRunBeforeDecodesUnlessMixed) {
  EXPECT_EQ(planned_by(Sglang({}), station()).decoding, 0);
  const Planned mixed = planned_by(Sglang({.mixed_chunk = true, .new_token_ratio = 0.5}), station());
  EXPECT_EQ(mixed.decoding, 2);
  EXPECT_EQ(mixed.chunks, (Chunks{{2, 100}}));
}

TEST(Sglang, LongPromptsAreCutToTheChunk) {
  const auto picture = Picture().kv(100000, 1).policy(kPerChunk).waiting(9000).waiting(10);
  EXPECT_EQ(planned_by(Sglang({}), picture).chunks, (Chunks{{0, 8192}}));
  const auto next = Picture().kv(100000, 1).policy(kPerChunk).prefilling(9000, 8192, {.reserved = 8192}).waiting(10);
  EXPECT_EQ(planned_by(Sglang({}), next).chunks, (Chunks{{0, 808}, {1, 10}}));
}

TEST(Sglang, RetractsTheCallWithTheFewestOutputTokens) {
  // Two blocks too few: call 1 (2 tokens out) goes, not the latest.
  const auto picture = Picture().kv(6).policy(kPerChunk).decoding(1, 32, {.emitted = 9}).decoding(1, 32, {.emitted = 2})
                           .decoding(1, 32, {.emitted = 5});
  EXPECT_EQ(planned_by(Sglang({}), picture).left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_EQ(planned_by(Vllm({}), picture).left, (Departures{{2, Leave::kRecompute}}));   // the nearest neighbour
}

TEST(Sglang, DecodesRepeatWhenNobodyWaits) {
  EXPECT_EQ(planned_by(Sglang({}), Picture().policy(kPerChunk).decoding(2, 100)).repeat, kForever);
}

}  // namespace
}  // namespace orrery
