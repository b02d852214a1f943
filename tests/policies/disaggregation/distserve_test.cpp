#include "policies/disaggregation/distserve.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "policies/disaggregation/distserve_placement.hpp"
#include "tests/policies/cluster_builder.hpp"

namespace orrery {
namespace {

Rng draw() { return Rng(1, Purpose::kPolicy, 0); }

ClusterPicture two_and_two() {
  ClusterPicture c;
  c.pool("prefill", Role::kPrefill, 2, 1000).pool("decode", Role::kDecode, 2, 1000);
  return c;
}

TEST(DistServe, PromptsToTheShortestQueueDecodesToTheLeastLoaded) {
  ClusterPicture c = two_and_two();
  c.load(0).prompt_tokens = Tokens{900};
  c.load(2).tokens = Tokens{500};
  EXPECT_EQ(DistServe({}).route(c.arriving(100), c, draw()).prefill, StationId{1});
  EXPECT_EQ(DistServe({}).decode_at(c.arriving(100), StationId{1}, c, draw()), StationId{3});
}

/// 5 % of 1,000 blocks: what waits may need 49 of them, not 50.
TEST(DistServe, PullsWhileWhatWaitsIsLessThanAShareOfTheBlocks) {
  ClusterPicture c = two_and_two();
  const CallId call = c.arriving(100);
  c.waits(2, 48 * 16);
  EXPECT_TRUE(DistServe({}).accepts(call, StationId{2}, Tokens{100}, c));
  c.waits(2, 16);
  EXPECT_TRUE(DistServe({}).accepts(call, StationId{2}, Tokens{100}, c));
  c.waits(2, 1);
  EXPECT_FALSE(DistServe({}).accepts(call, StationId{2}, Tokens{100}, c));
  EXPECT_TRUE(DistServe({.waiting_fraction = 0.06}).accepts(call, StationId{2}, Tokens{100}, c));
  EXPECT_TRUE(
      ShortestQueue().accepts(call, StationId{2}, Tokens{100}, c));  // its nearest relative looks at free blocks alone
}

/// 100 tokens and one more need seven blocks.
TEST(DistServe, PullsOnlyIntoFreeBlocks) {
  ClusterPicture c = two_and_two();
  const CallId call = c.arriving(100);
  c.kv_of(2).free = Blocks{7};
  EXPECT_TRUE(DistServe({}).accepts(call, StationId{2}, Tokens{100}, c));
  c.kv_of(2).free = Blocks{6};
  EXPECT_FALSE(DistServe({}).accepts(call, StationId{2}, Tokens{100}, c));
}

TEST(DistServe, PairedItDecodesBesideItsPrompt) {
  ClusterPicture c = two_and_two();
  c.load(3).tokens = Tokens{5000};
  EXPECT_EQ(DistServe({.paired = true}).decode_at(c.arriving(100), StationId{1}, c, draw()), StationId{3});
  EXPECT_EQ(DistServe({.paired = true}).decode_at(c.arriving(100), StationId{0}, c, draw()), StationId{2});
  c.at(3).phase = Phase::kGone;
  EXPECT_EQ(DistServe({.paired = true}).decode_at(c.arriving(100), StationId{1}, c, draw()), StationId{2});
}

/// Goodputs by formula; counts what it is asked.
class Formula final : public GoodputOracle {
 public:
  std::function<double(PhaseSplit)> of_prefill, of_decode;
  double slower = 1;   ///< share of the slower phase that a pair serves
  int pairs = 0;
  double prefill(PhaseSplit s) override { return of_prefill(s); }
  double decode(PhaseSplit s) override { return of_decode(s); }
  double pair(PhaseSplit p, PhaseSplit d) override {
    ++pairs;
    return slower * std::min(of_prefill(p), of_decode(d));
  }
};

/// Prefill scales with tp alone, best per device at 2; decode with pp alone, best at 4.
Formula scaling() {
  Formula f;
  f.of_prefill = [](PhaseSplit s) { return s.tp == 2 && s.pp == 1 ? 6.0 : 1.0 * s.tp; };
  f.of_decode = [](PhaseSplit s) { return s.tp == 1 && s.pp == 4 ? 20.0 : 2.0 * s.pp; };
  return f;
}

TEST(DistServePlacement, SplitsDivideHeadsAndLayersAndStayInNodes) {
  const auto splits = feasible_splits({.gpus = 32, .gpus_per_node = 4, .layers = 6, .heads = 4}, 8);
  EXPECT_EQ(splits, (std::vector<PhaseSplit>{{1, 1}, {1, 2}, {2, 1}, {1, 3}, {2, 2}, {4, 1}, {1, 6}, {2, 3}, {4, 2}}));
  EXPECT_EQ(feasible_splits({.gpus = 32, .gpus_per_node = 4, .layers = 6, .heads = 4}, 2, 2),
            (std::vector<PhaseSplit>{{1, 2}, {2, 2}}));  // two nodes: stages come in twos, and 1 x 4 is no divisor of 6
}

/// R = 50: n = ceil(50 / 6), m = ceil(50 / 20).
TEST(DistServePlacement, PhasesAreReplicatedForTheRate) {
  Formula f = scaling();
  const PhasePlan plan = place_apart({.gpus = 32, .gpus_per_node = 8, .layers = 8, .heads = 8, .rate = 50}, f);
  EXPECT_EQ(plan.prefill, (PhaseSplit{2, 1}));
  EXPECT_EQ(plan.decode, (PhaseSplit{1, 4}));
  EXPECT_EQ(plan.prefills, 9);
  EXPECT_EQ(plan.decodes, 3);
  EXPECT_EQ(f.pairs, 0);
  EXPECT_EQ(place_apart({.gpus = 29, .gpus_per_node = 8, .layers = 8, .heads = 8, .rate = 50}, f).prefills,
            0);  // 30 are needed
}

/// 32 devices: ten prefill instances serve 60, three decode instances as much.
TEST(DistServePlacement, WithoutARateTheDevicesServeAsMuchAsTheyCan) {
  Formula f = scaling();
  const PhasePlan plan = place_apart({.gpus = 32, .gpus_per_node = 8, .layers = 8, .heads = 8}, f);
  EXPECT_EQ(plan.prefills, 10);
  EXPECT_EQ(plan.decodes, 3);
  EXPECT_DOUBLE_EQ(plan.goodput, 60);
  EXPECT_DOUBLE_EQ(plan.per_gpu(), 60.0 / 32);
}

/// Six devices do not hold a decode instance of four and two prefill instances of two; of what fits, what serves most.
TEST(DistServePlacement, WhereTheBestDoNotFitBesideEachOtherThePairThatServesMost) {
  Formula f = scaling();
  f.of_decode = [](PhaseSplit s) { return s.gpus() == 5 ? 100.0 : s.gpus() * 1.0; };
  const PhasePlan plan = place_apart({.gpus = 6, .gpus_per_node = 6, .layers = 20, .heads = 2}, f);
  EXPECT_EQ(plan.prefill, (PhaseSplit{2, 1}));
  EXPECT_EQ(plan.decodes * plan.decode.gpus(), 4);
  EXPECT_DOUBLE_EQ(plan.goodput, 4);
}

TEST(DistServePlacement, PairsStayInsideNodes) {
  Formula f = scaling();
  const PhasePlan plan = place_paired({.gpus = 32, .gpus_per_node = 8, .layers = 8, .heads = 8}, f);
  EXPECT_TRUE(plan.paired);
  EXPECT_EQ(plan.prefills, plan.decodes);
  EXPECT_LE(plan.gpus(), 32);
  EXPECT_LE(plan.prefill.gpus() + plan.decode.gpus(), 8);   // one segment: the model fits a node
}

/// Leaving out pairs whose slower phase alone would not do changes nothing but the number of questions.
TEST(DistServePlacement, BoundsLeaveTheBestPairAlone) {
  for (const double slower : {1.0, 0.7, 0.31}) {
    Formula f = scaling();
    f.slower = slower;
    const PlacementSpace space{.gpus = 16, .gpus_per_node = 4, .layers = 12, .heads = 4};
    const PhasePlan plan = place_paired(space, f);
    double best = 0;
    int all = 0;
    for (int apart = 1; apart <= 4; ++apart)
      for (const PhaseSplit p : feasible_splits(space, 3, apart))
        for (const PhaseSplit d : feasible_splits(space, 3, apart))
          if (p.gpus() + d.gpus() <= 4 * apart) {
            best = std::max(best, slower * std::min(f.of_prefill(p), f.of_decode(d)) / (p.gpus() + d.gpus()));
            ++all;
          }
    EXPECT_DOUBLE_EQ(plan.per_gpu(), best);
    EXPECT_LT(f.pairs, all);
  }
}

TEST(DistServePlacement, NothingFitsWhereNoRateHolds) {
  Formula f;
  f.of_prefill = f.of_decode = [](PhaseSplit) { return 0.0; };
  EXPECT_EQ(place_apart({.gpus = 8, .gpus_per_node = 8, .layers = 8, .heads = 8}, f).prefills, 0);
  EXPECT_EQ(place_paired({.gpus = 8, .gpus_per_node = 8, .layers = 8, .heads = 8}, f).prefills, 0);
}

}  // namespace
}  // namespace orrery
