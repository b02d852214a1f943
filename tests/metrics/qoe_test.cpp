/// Andes' two formulas on timelines made by hand, and runs of tokens against single ones.
#include "sim/metrics/qoe.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

/// The reader expects token i at 1 + i seconds.
constexpr QoeRule kV1{1s, 1s, true}, kV2{1s, 1s, false};

double qoe(const std::vector<Duration>& tokens, const QoeRule& rule) {
  QoeTimeline t;
  for (const Duration at : tokens) t.token(at, rule);
  return t.value(rule);
}

TEST(Qoe, TokensOnTimeOrBeforeAreWhole) {
  for (const QoeRule& rule : {kV1, kV2}) {
    EXPECT_EQ(qoe({1s, 2s, 3s}, rule), 1);
    EXPECT_EQ(qoe({0s, 0s, 0s, 0s}, rule), 1) << "all at once: read one by one from the client's buffer";
    EXPECT_EQ(qoe({1s}, rule), 1);
    EXPECT_EQ(qoe({}, rule), 0) << "no answer";
  }
}

/// Three tokens, two seconds late each: all read by u_3 = 6, S = 3 (2 * 6 - 2 - 3) / 2 = 10.5, lost 6.
TEST(Qoe, ALateStartIsLost) {
  EXPECT_DOUBLE_EQ(qoe({3s, 4s, 5s}, kV2), 1 - 6 / 10.5);
  EXPECT_DOUBLE_EQ(qoe({3s, 4s, 5s}, kV1), 1 - 6 / 10.5);
}

/// After a late start the rest comes at once, but is not read faster.
TEST(Qoe, HasteDoesNotMakeUpForALateStart) { EXPECT_EQ(qoe({3s, 3s, 3s}, kV2), qoe({3s, 4s, 5s}, kV2)); }

/// The pause of the authors' test: five tokens from 0 on, five from 10 on. Taken up at 0, 1, 2, 3, 4 (each a second
/// before its time) and 10, 11, 12, 13, 14 (four seconds after). All read by 15: S = 10 (30 - 2 - 10) / 2 = 90.
TEST(Qoe, FormulasDifferInWhatEarlyTokensAreWorth) {
  std::vector<Duration> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(i * 200ms);
  for (int i = 0; i < 5; ++i) tokens.push_back(10s + i * 200ms);
  EXPECT_DOUBLE_EQ(qoe(tokens, kV2), 1 - 20.0 / 90);
  EXPECT_DOUBLE_EQ(qoe(tokens, kV1), 1 - 15.0 / 90);
}

TEST(Qoe, ARunIsItsTokens) {
  for (std::uint64_t i = 0; i < 20000; ++i) {
    Rng rng(1, Purpose::kFuzz, i);
    const auto pick = [&](std::uint64_t n) { return static_cast<std::int64_t>(rng.below(n)); };
    const QoeRule rule{Duration{pick(40)}, Duration{1 + pick(20)}, pick(2) == 0};
    QoeTimeline runs, singles;
    Duration at{pick(60)};
    for (std::int64_t n = pick(4); n >= 0; --n) {
      const TokenRun run{Time{}, Duration{pick(30)}, Duration{pick(5) - (pick(10) == 0)}, 1 + pick(40)};
      if (run.step < Duration{} && run.gap < 40 * -run.step) continue;   // time would run backwards
      runs.tokens(at, run, rule);
      for (std::int64_t j = 0; j < run.k; ++j) singles.token(at + run.after(j), rule);
      at += run.after(run.k - 1) + Duration{pick(50)};
      ASSERT_EQ(runs.value(rule), singles.value(rule)) << i;
      ASSERT_EQ(runs.count(), singles.count());
    }
  }
}

TEST(Qoe, TheMeterGivesRowsWhatTheirClassExpects) {
  QoeMeter meter({kV2, {}});
  Call call;
  call.arrival = Time{5s};
  const CallId id{0, 0}, again{0, 1};
  meter.on_asked(id, call, Tokens32{1});
  meter.on_token(id, call, true, Time{9s});
  Row row;
  meter.on_anew(id, again);                        // another attempt: what was read counts no more, the wait does
  meter.on_token(again, call, true, Time{8s});
  meter.on_left(again, row);
  EXPECT_EQ(row.qoe, qoe({3s}, kV2));
  row.status = Status::kTimedOut;
  meter.on_left(again, row);
  EXPECT_EQ(row.qoe, 0);
  Row other;
  other.request_class = 1;
  meter.on_left(again, other);
  EXPECT_LT(other.qoe, 0) << "a class that states none";
}

}  // namespace
}  // namespace orrery
