#include "policies/kv/contiguous.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

using Reserve = ContiguousConfig::Reserve;

Call call(int prompt, int max_tokens, int predicted = 0) {
  Call c;
  c.prompt = Tokens32{prompt};
  c.max_tokens = Tokens32{max_tokens};
  c.predicted_low = c.predicted_high = Tokens32{predicted};
  return c;
}

Tokens reserved(Reserve rule, const Call& c) { return Contiguous({.reserve = rule}).reserve(c, c.prompt, c.prompt); }

TEST(Contiguous, TheThreeOrcasOfTheVllmPaper) {
  const Call c = call(161, 1000, 338);                        // ShareGPT's mean lengths, output known
  EXPECT_EQ(reserved(Reserve::kMax, c), 2048_tok);
  EXPECT_EQ(reserved(Reserve::kPow2, c), Tokens{161 + 512});
  EXPECT_EQ(reserved(Reserve::kOracle, c), Tokens{161 + 338});
  EXPECT_EQ(reserved(Reserve::kMaxNew, c), Tokens{161 + 1000});
}

TEST(Contiguous, Pow2StaysBelowTheModelsLength) {
  EXPECT_EQ(reserved(Reserve::kPow2, call(1000, 1048, 700)), 2024_tok);   // 1000 + 1024
  EXPECT_EQ(reserved(Reserve::kPow2, call(1500, 548, 513)), 2048_tok);    // not 1500 + 1024
}

TEST(Contiguous, WithoutAPredictionTheClientsLimitStandsIn) {
  EXPECT_EQ(reserved(Reserve::kOracle, call(100, 50)), 150_tok);
}

TEST(Contiguous, IsOneRunOfSlotsUnlessBuddyIsOff) {
  EXPECT_TRUE(Contiguous({}).contiguous());
  EXPECT_FALSE(Contiguous({.buddy = false}).contiguous());
  EXPECT_EQ(Contiguous({}).block_tokens(), 1_tok);
}

TEST(Contiguous, TheBuddyRoundsARunUpToAPowerOfTwo) {
  // 1024 slots, all free in one run; each call reserves 10 + 91 = 101 slots: a run of 128. Eight fit, not ten.
  const Contiguous orca({.reserve = Reserve::kMaxNew});
  Picture p;
  p.kv(1024, 1);
  for (int i = 0; i < 12; ++i) p.waiting(10, {.max_tokens = 91});
  StationView v = p.view();
  BuddyRuns runs{};
  runs[10] = 1;
  v.kv.contiguous = true;
  v.kv.runs = &runs;
  v.kv_policy = &orca;
  EXPECT_EQ(planned_by(Orca({}), v).admitted.size(), 8u);
  const Contiguous exact({.reserve = Reserve::kMaxNew, .buddy = false});
  StationView w = p.view();
  w.kv_policy = &exact;
  EXPECT_EQ(planned_by(Orca({}), w).admitted.size(), 10u);
}

TEST(Contiguous, AReservationThatProvesTooSmallAlwaysGrows) {
  const Contiguous c({.reserve = Reserve::kOracle, .growth = 1});
  EXPECT_EQ(c.regrow(call(100, 50), 110_tok), 112_tok);   // two more: the next token is computed already
}

}  // namespace
}  // namespace orrery
