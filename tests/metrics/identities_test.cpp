/// A sound set of facts breaks nothing; every seeded error is caught and named.
#include "sim/metrics/identities.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orrery {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Two requests: one done after 3 s in the system, one that has been in flight for 1 s.
RunFacts sound() {
  RunFacts f;
  f.seed = 42;
  f.end = {.end = Time{} + 4s, .stations = {{1_blk, 6_blk, 3_blk, 10_blk, false}, {0_blk, 10_blk, 0_blk, 10_blk}}};
  f.offered = 2;
  f.rows[static_cast<int>(Status::kDone)] = 1;
  f.rows[static_cast<int>(Status::kInFlight)] = 1;
  f.in_system = 1;
  f.area = f.sojourn = Wide{4'000'000'000'000};
  f.computed = 130;
  f.done = 100;
  f.in_flight = 20;
  f.recomputed = 7;
  f.wasted = 3;
  f.gaps = f.itl = 9;
  f.energy = 500;
  f.station_energy = {200, 300};
  f.slots = {{100, 60, 40}, {0, 0, 0}};
  return f;
}

/// What is reported when `spoil` has changed one thing.
template <class Spoil>
std::vector<std::string> spoiled(Spoil spoil) {
  RunFacts f = sound();
  spoil(f);
  return broken_identities(f);
}

TEST(Identities, SoundFactsBreakNothing) { EXPECT_THAT(broken_identities(sound()), testing::IsEmpty()); }

TEST(Identities, AMessageNamesTimeReplicaSeedAndDifference) {
  EXPECT_THAT(spoiled([](RunFacts& f) { f.end.stations[1].held = 2_blk; }),
              ElementsAre("broken identity at 4.000000000000 s, replica 1, seed 42: KV blocks held + free + cached = "
                          "total: 12 is not 10",
                          "broken identity at 4.000000000000 s, replica 1, seed 42: KV blocks held by an idle replica "
                          "= 0: 2 is not 0"));
}

TEST(Identities, AnOddRowIsNamed) {
  const Row row{.number = 17, .arrival = Time{} + 2s, .first_schedule = Time{} + 1s, .first_token = Time{} + 3s,
                .finish = Time{} + 3s, .output = Tokens32{1}, .station = StationId{1}};
  EXPECT_THAT(spoiled([&](RunFacts& f) { f.odd = row; }),
              ElementsAre(AllOf(HasSubstr("request 17, replica 1, seed 42"), HasSubstr("schedule 1.000000000000 s"))));
}

TEST(Identities, EverySeededErrorIsCaught) {
  EXPECT_THAT(spoiled([](RunFacts& f) { f.backwards = Time{} + 1s; }),
              ElementsAre(HasSubstr("time ran backwards at 1.0")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.offered; }), ElementsAre(HasSubstr("requests offered")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.in_system; }), ElementsAre(HasSubstr("requests in the system")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.area; }),
              ElementsAre(HasSubstr("Little's law, ps: integral of the number in the system = sum of times in it: "
                                    "4000000000001 is not 4000000000000")));
  EXPECT_THAT(spoiled([](RunFacts& f) { --f.computed; }), ElementsAre(HasSubstr("tokens computed")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.wasted; }), ElementsAre(HasSubstr("tokens computed")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.itl; }), ElementsAre(HasSubstr("gaps between tokens")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.itl, f.restarted = true; }), testing::IsEmpty());
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.station_energy[0]; }), ElementsAre(HasSubstr("energy of the run")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.end.stations[0].free; }), ElementsAre(HasSubstr("replica 0")));
  EXPECT_THAT(spoiled([](RunFacts& f) { ++f.slots[0].used; }), ElementsAre(HasSubstr("KV slots")));
  EXPECT_THAT(spoiled([](RunFacts& f) { f.slots[1].reserved = -1; }), ElementsAre(HasSubstr("reserved -1")));
}

/// Two bytes a token, blocks of 16. Replica 0: 3 blocks of a prefix came back, 2 were computed again, 4 were dropped, 1
/// is there; 10 went there, the copy of one of them belongs to no step. Replica 1 swapped 20 tokens out and in.
RunFacts copied() {
  RunFacts f = sound();
  for (RunEnd::Station& s : f.end.stations) {
    s.idle = true;
    s.block_tokens = 16_tok;
    s.token_bytes = 2_B;
  }
  f.end.stations[0].held = 0_blk;
  f.end.stations[0].cached = 4_blk;
  f.end.stations[0].host = {8_blk, 1_blk, 8_blk, 10, 3, 2, 4, 0_blk, 1_blk};
  f.end.stations[1].swapped_in = f.end.stations[1].swapped_out = 20_tok;
  f.host_in = 136_B;    // 2 * (3 * 16 + 20)
  f.host_out = 328_B;   // 2 * (9 * 16 + 20)
  return f;
}

template <class Spoil>
std::vector<std::string> miscopied(Spoil spoil) {
  RunFacts f = copied();
  spoil(f, f.end.stations[0].host);
  return broken_identities(f);
}

TEST(Identities, EveryLostCopyIsCaught) {
  using Host = RunEnd::Station::Host;
  EXPECT_THAT(broken_identities(copied()), testing::IsEmpty());
  EXPECT_THAT(miscopied([](RunFacts&, Host& h) { ++h.dropped; }),
              ElementsAre(HasSubstr("cached blocks offloaded to host memory = restored + superseded + dropped + there: "
                                    "10 is not 11")));
  EXPECT_THAT(miscopied([](RunFacts&, Host& h) { h.peak = 9_blk; }), ElementsAre(HasSubstr("than there is room")));
  EXPECT_THAT(miscopied([](RunFacts& f, Host&) { f.host_in += 1_B; }),
              ElementsAre(HasSubstr("bytes of KV from host memory: of all steps = swapped in + prefixes restored: "
                                    "137 is not 136")));
  EXPECT_THAT(miscopied([](RunFacts&, Host& h) { h.untold_out = 0_blk; }),
              ElementsAre(HasSubstr("bytes of KV to host memory")));
  EXPECT_THAT(miscopied([](RunFacts& f, Host&) { f.host_in += 1_B, f.aborted = true; }), testing::IsEmpty());
}

/// 500 nJ of the run: 480 of steps that ended, of which 450 are charged, 15 lost, 5 told of ahead.
RunFacts charged() {
  RunFacts f = sound();
  ChargeResult c;
  c.requests = {450, 40, 30};
  c.left = {30, 2, 0};
  c.lost = 15;
  c.by_station = {{.spent = {200, 20, 10}}, {.spent = {280, 22, 20}}};
  f.end.charges = c;
  f.end.told_ahead = 5;
  return f;
}

template <class Spoil>
std::vector<std::string> miscounted(Spoil spoil) {
  RunFacts f = charged();
  spoil(f, *f.end.charges);
  return broken_identities(f);
}

TEST(Identities, EveryMiscountedChargeIsCaught) {
  EXPECT_THAT(broken_identities(charged()), testing::IsEmpty());
  EXPECT_THAT(miscounted([](RunFacts&, ChargeResult& c) { ++c.requests.energy; }),
              ElementsAre(HasSubstr("energy of steps, nJ = what requests are charged + what is left: 480 is not 481")));
  EXPECT_THAT(miscounted([](RunFacts&, ChargeResult& c) { --c.requests.money; }),
              ElementsAre(HasSubstr("money of steps")));
  EXPECT_THAT(miscounted([](RunFacts&, ChargeResult& c) { ++c.left.carbon; }),
              ElementsAre(HasSubstr("carbon of steps")));
  EXPECT_THAT(miscounted([](RunFacts&, ChargeResult& c) { ++c.lost; }),
              ElementsAre(HasSubstr("energy of the run, nJ = that of steps that ended + what was lost")));
  EXPECT_THAT(miscounted([](RunFacts& f, ChargeResult&) { f.end.told_ahead = 0; }), ElementsAre(HasSubstr("lost")));
}

}  // namespace
}  // namespace orrery
