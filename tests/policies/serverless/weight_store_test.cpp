/// Start-up times by tier, T = q + n / b, and what loads leave behind. Twelve GB of weights; 20 GB/s to a device, 12
/// GB/s from the disk, 1.25 GB/s over the network: 0.6 s, 1 s, 9.6 s.
#include "policies/serverless/weight_store.hpp"

#include <gtest/gtest.h>

namespace orrery {
namespace {

constexpr Bytes kWeights{12'000'000'000};

Server server(std::int64_t dram_bytes = 24'000'000'000) {
  return {.gpus = 4, .dram = Bytes{dram_bytes}, .dram_bytes_per_s = 20'000'000'000, .ssd_bytes_per_s = 12'000'000'000,
          .network_bytes_per_s = 1'250'000'000};
}

Pool pool(Tier tier, Duration init = {}, int tp = 1) {
  Pool p;
  p.tp = tp;
  p.weight_bytes = kWeights;
  p.lifecycle = {.tier = tier, .engine_init = init};
  return p;
}

void expect(const WeightStore::Load& load, Tier tier, Duration time) {
  EXPECT_EQ(name(load.tier), name(tier));
  EXPECT_EQ(load.time, time);
}

Time at(Duration d) { return Time{} + d; }

TEST(WeightStore, EachTierTakesItsTime) {
  const Server servers[] = {server()};
  WeightStore store(servers, pool(Tier::kRemote), Cache::kDram);
  expect(store.estimate(0, 1, at(0s)), Tier::kRemote, 9600ms);
  expect(store.begin(0, 1, at(0s)), Tier::kRemote, 9600ms);
  expect(store.estimate(0, 1, at(20s)), Tier::kDram, 600ms);
  store.begin(0, 2, at(20s));
  store.begin(0, 3, at(40s));   // room for two: model 1 leaves pinned memory, its disk has it
  expect(store.estimate(0, 1, at(60s)), Tier::kSsd, 1s);
  expect(store.estimate(0, 3, at(60s)), Tier::kDram, 600ms);
}

TEST(WeightStore, ABusyDiskIsWaitedForAndPinnedMemoryIsNot) {
  const Server servers[] = {server(), server()};
  WeightStore store(servers, pool(Tier::kSsd), Cache::kDram);
  expect(store.begin(0, 1, at(0s)), Tier::kSsd, 1s);
  expect(store.begin(0, 2, at(0s)), Tier::kSsd, 2s);           // q = 1 s
  expect(store.estimate(0, 3, at(500ms)), Tier::kSsd, 2500ms); // q = 1.5 s
  expect(store.estimate(1, 3, at(500ms)), Tier::kSsd, 1s);     // another server's disk
  expect(store.estimate(0, 1, at(1s)), Tier::kDram, 600ms);
}

/// A second device asks for weights that are still being read: it has them when they have come.
TEST(WeightStore, WeightsOnTheirWayAreSharedWhenTheyHaveCome) {
  const Server servers[] = {server()};
  WeightStore store(servers, pool(Tier::kSsd), Cache::kDram);
  store.begin(0, 1, at(0s));
  expect(store.estimate(0, 1, at(100ms)), Tier::kDram, 900ms);
  expect(store.estimate(0, 1, at(700ms)), Tier::kDram, 600ms);
}

TEST(WeightStore, TheSlowestTierRules) {
  Server fast = server();
  fast.ssd_bytes_per_s = 40'000'000'000;
  const Server servers[] = {fast};
  expect(WeightStore(servers, pool(Tier::kSsd), Cache::kDram).estimate(0, 1, {}), Tier::kSsd, 600ms);
  // two devices, each with its link: the disk is slower no more
  expect(WeightStore(servers, pool(Tier::kSsd, {}, 2), Cache::kDram).estimate(0, 1, {}), Tier::kSsd, 300ms);
  expect(WeightStore(servers, pool(Tier::kSsd, 5s), Cache::kDram).estimate(0, 1, {}), Tier::kSsd, 5600ms);
  expect(WeightStore({}, pool(Tier::kSsd), Cache::kDram).estimate(-1, 1, {}), Tier::kSsd, Duration{});   // no limits
}

TEST(WeightStore, WhatIsNotCachedComesAgain) {
  const Server servers[] = {server()};
  WeightStore none(servers, pool(Tier::kSsd), Cache::kNone), ssd(servers, pool(Tier::kRemote), Cache::kSsd);
  for (WeightStore* store : {&none, &ssd}) store->begin(0, 1, at(0s));
  expect(none.estimate(0, 1, at(20s)), Tier::kRemote, 9600ms);
  expect(ssd.estimate(0, 1, at(20s)), Tier::kSsd, 1s);
  expect(none.estimate(0, 2, at(1s)), Tier::kRemote, 8600ms + 9600ms);   // the network is shared
}

}  // namespace
}  // namespace orrery
