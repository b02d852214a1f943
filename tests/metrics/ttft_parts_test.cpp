/// The parts of TTFT: whole requests, exact sums, the group in which a percentile lies.
#include "sim/metrics/ttft_parts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

std::int64_t below(Rng& rng, std::int64_t n) {
  return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n)));
}

Row row(Duration queue, Duration rest) {
  Row r;
  r.arrival = Time{} + 1s;
  r.first_schedule = r.arrival + queue;
  r.first_token = r.first_schedule + rest;
  r.prompt = Tokens32{100};
  r.cached = Tokens32{40};
  return r;
}

TEST(TtftParts, ARequestByHand) {
  Row r = row(500ms, 300ms);
  r.retried = 100ms;
  r.load = 150ms;
  r.set_back = 200ms;
  TtftParts parts;
  parts.add(r);
  const TtftParts::Sums s = parts.around(99);
  EXPECT_EQ(s.count, 1);
  EXPECT_EQ(s.computed, 60);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.total)}, 800ms);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.retries)}, 100ms);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.load)}, 150ms);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.queue())}, 250ms);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.set_back)}, 200ms);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(s.prefill())}, 100ms);
}

/// 99 requests of 10 ms and 2 of 1 s: the p99 is the first of the slow ones, and only they are counted.
TEST(TtftParts, OnlyTheRequestsAroundThePercentile) {
  TtftParts parts;
  for (int i = 0; i < 99; ++i) parts.add(row(1ms, 9ms));
  for (int i = 0; i < 2; ++i) parts.add(row(900ms, 100ms));
  const TtftParts::Sums slow = parts.around(99), fast = parts.around(50);
  EXPECT_EQ(slow.count, 2);
  EXPECT_EQ(Duration{static_cast<std::int64_t>(slow.queue())}, 1800ms);
  EXPECT_EQ(fast.count, 99);
  EXPECT_EQ(parts.around(98).count, 99);
  EXPECT_EQ(TtftParts{}.around(99).count, 0);
}

TEST(TtftParts, GroupsAreEighthsOfAnOctaveAndHoldTheirPercentile) {
  Rng rng(3, Purpose::kFuzz, 0);
  std::vector<std::int64_t> all;
  TtftParts whole, first, second;
  for (int i = 0; i < 4000; ++i) {
    const std::int64_t ttft = below(rng, std::int64_t{1} << (1 + i % 60));
    all.push_back(ttft);
    const Row r = row(Duration{ttft / 3}, Duration{ttft - ttft / 3});
    whole.add(r);
    (i % 2 == 0 ? first : second).add(r);
  }
  first.merge(second);
  std::sort(all.begin(), all.end());
  for (const int p : {1, 25, 50, 90, 99, 100}) {
    const std::int64_t at = all[static_cast<std::size_t>((all.size() * static_cast<std::size_t>(p) + 99) / 100 - 1)];
    const TtftParts::Sums s = whole.around(p), merged = first.around(p);
    EXPECT_LE(s.low, at);
    EXPECT_GT(s.high, at);
    EXPECT_TRUE(s.high - s.low == 1 || s.high - s.low <= s.low / 8) << s.low << ' ' << s.high;
    const auto in = [&](std::int64_t x) { return x >= s.low && x < s.high; };
    EXPECT_EQ(s.count, std::count_if(all.begin(), all.end(), in));
    Wide total = 0;
    for (const std::int64_t x : all) total += in(x) ? x : 0;
    EXPECT_TRUE(s.total == total);
    EXPECT_EQ(merged.count, s.count);
    EXPECT_TRUE(merged.total == s.total && merged.waiting == s.waiting && merged.low == s.low);
  }
}

}  // namespace
}  // namespace orrery
