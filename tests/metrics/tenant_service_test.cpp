/// Service by tenant and time, and the two measures of evenness of VTC's artifact, on figures worked out by hand.
#include "sim/metrics/tenant_service.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

/// Two tenants, 1 and 2, with a call each at slots 0 and 1; 0 is nobody.
struct Two {
  TenantMeter meter{{false, true, true}};
  std::vector<CallRow> rows{2};
  std::vector<CallId> ids{{0, 0}, {1, 0}};

  Two() {
    rows[0].call = {.arrival = Time{},
                    .prompt = Tokens32{100},
                    .max_tokens = {},
                    .predicted_low = {},
                    .predicted_high = {},
                    .tenant = 1};
    rows[1].call = rows[0].call;
    rows[1].call.tenant = 2;
  }
  void ask(int slot, Duration at, std::int32_t output) {
    rows[static_cast<std::size_t>(slot)].call.arrival = Time{at};
    meter.on_asked(ids[static_cast<std::size_t>(slot)], rows[static_cast<std::size_t>(slot)].call, Tokens32{output});
  }
};

TEST(TenantService, APromptCountsOnceAndAnOutputTokenTwo) {
  Two t;
  t.ask(0, 0s, 3);
  t.meter.on_token(t.ids[0], t.rows[0].call, true, Time{1s});
  t.meter.on_tokens({t.ids.data(), 1}, t.rows, {Time{2s}, 1s, 0s, 2});
  t.meter.on_token(t.ids[0], t.rows[0].call, false, Time{4s});   // a recomputed prompt is not served again
  const TenantService s = t.meter.finish();
  EXPECT_EQ(s.service, (std::vector<std::int64_t>{0, 100 + 4 * 2, 0}));
  EXPECT_EQ(s.demand, (std::vector<std::int64_t>{0, 100 + 3 * 2, 0}));
  EXPECT_EQ(s.gap_end, 108);
}

/// 30 tokens, one a second from 5 s on: five come before 10 s, ten before 20 s; the token at 10 s is of the second
/// tick.
TEST(TenantService, ARunIsSpreadOverItsTicks) {
  Two t;
  t.ask(0, 0s, 30);
  t.meter.on_tokens(t.ids, t.rows, {Time{5s}, 1s, 0s, 30});
  ASSERT_EQ(t.meter.ticks(), 4);
  EXPECT_EQ(t.meter.service(0, 1), 5 * 2);
  EXPECT_EQ(t.meter.service(1, 1), 10 * 2);
  EXPECT_EQ(t.meter.service(2, 2), 10 * 2);
  EXPECT_EQ(t.meter.service(3, 2), 5 * 2);
}

/// One window: tenant 1 asks for 400 and gets 400; tenant 2 asks for 700 and gets 100, of 400 at most: 300 behind.
TEST(TenantService, DifferenceIsAgainstTheMostServedAndTheOwnDemand) {
  Two t;
  t.ask(0, 0s, 150);
  t.ask(1, 1s, 300);
  t.meter.on_tokens({t.ids.data(), 1}, t.rows, {Time{5s}, 0s, 0s, 200});
  t.meter.on_tokens({t.ids.data() + 1, 1}, t.rows, {Time{5s}, 0s, 0s, 50});
  t.ask(0, 61s, 1);
  const TenantService s = t.meter.finish();
  EXPECT_EQ(s.windows, 1);
  EXPECT_DOUBLE_EQ(s.difference_mean, 300.0 / 60);
  EXPECT_EQ(s.gap_max, 300);
}

}  // namespace
}  // namespace orrery
