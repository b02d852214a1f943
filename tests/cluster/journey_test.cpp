/// Calls that are prefilled at one instance and decode at another, that move while they decode, and instances that go.
#include <gtest/gtest.h>

#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// Prompts at instance 0, decoding at instance 1.
class Split : public ClusterPolicy {
 public:
  Placement route(CallId, Cluster&, Rng) override { return Placement::split(StationId{0}, StationId{1}); }
};

ClusterParts two_pools(ClusterPolicy& policy, std::int64_t bytes_per_s, Bytes per_token = Bytes{1'000'000}) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "prefill", .role = Role::kPrefill, .kv_bytes_per_token = per_token, .bytes_per_s = bytes_per_s},
             {.name = "decode", .role = Role::kDecode, .kv_bytes_per_token = per_token, .bytes_per_s = bytes_per_s}};
  return c;
}

constexpr const char* kEngine = "engine batching=sarathi stations=2 kv_blocks=100 block=16  cost: 10ms + 1ms*prefill\n";

/// 100 prompt tokens take 110 ms; 100 MB at 1 GB/s take 100 ms; three more tokens take 10 ms each.
TEST(Journey, APromptHereItsDecodingThere) {
  Split policy;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=4\n", two_pools(policy, 1'000'000'000));
  const Row& a = run.rows.at(0);
  EXPECT_EQ(a.status, Status::kDone);
  EXPECT_EQ(a.first_token, at(110ms));
  EXPECT_EQ(a.finish, at(240ms));
  EXPECT_EQ(a.station, StationId{0});
  EXPECT_EQ(a.decode_station, StationId{1});
  EXPECT_EQ(a.transfer, Duration{100ms});
  EXPECT_EQ(a.migrations, 0);
}

TEST(Journey, AnAnswerOfOneTokenNeverLeaves) {
  Split policy;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n", two_pools(policy, 1'000'000'000));
  EXPECT_EQ(run.rows.at(0).finish, at(110ms));
  EXPECT_EQ(run.rows.at(0).decode_station, StationId{});
  EXPECT_EQ(run.outcome.bytes_moved, 0);
}

/// Two prompts end 110 ms apart. The second's copy begins at 220 ms, when the first's, which takes 200 ms alone, has 90
/// ms to go: together they are half as fast, so the first comes at 400 ms and the second at 510 ms.
TEST(Journey, TransfersShareTheNetwork) {
  Split policy;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=2\nt=110ms b prompt=100 out=2\n",
                               two_pools(policy, 1'000'000'000, Bytes{2'000'000}));
  EXPECT_EQ(run.rows.at(0).transfer, Duration{290ms});
  EXPECT_EQ(run.rows.at(1).transfer, Duration{290ms});
}

class Layerwise final : public Split {
 public:
  Transfer transfer(CallId, const Cluster&) const override { return Transfer::kLayerwise; }
};

/// Ten layers: nine tenths of the 100 ms hide behind the step of 110 ms, the last layer's 10 ms do not.
TEST(Journey, ALayerwiseTransferHidesBehindThePrompt) {
  Layerwise policy;
  ClusterParts c = two_pools(policy, 1'000'000'000);
  c.pools[0].layers = 10;
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=2\n", c);
  EXPECT_EQ(run.rows.at(0).transfer, Duration{10ms});
  c.pools[0].bytes_per_s = c.pools[1].bytes_per_s = 100'000'000;   // a step lets 9.9 MB of 100 MB through
  const auto slow = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=2\n", c);
  EXPECT_EQ(slow.rows.at(0).transfer, Duration{901ms});
}

/// Room for one call at a time where they decode: the second's KV stays where it is until the first is done.
TEST(Journey, KvStaysWhereItIsUntilThereIsRoom) {
  Split policy;
  const std::string engine =
      "engine batching=sarathi stations=2 kv_blocks=8 block=16 cost: 10ms + 1ms*prefill\n";
  const auto run = run_cluster(engine + "t=0ms a prompt=70 out=20\nt=0ms b prompt=70 out=20\n", two_pools(policy, 0));
  const Row &a = run.rows.at(0), &b = run.rows.at(1);
  EXPECT_EQ(a.decode_queue, Duration{});
  EXPECT_EQ(b.decode_queue, a.finish - b.first_token);
  EXPECT_EQ(b.status, Status::kDone);
}

/// Each call is prefilled where the other decodes.
class Crossed final : public ClusterPolicy {
 public:
  Placement route(CallId id, Cluster& c, Rng) override {
    const auto here = static_cast<std::int32_t>(c.call(id).number % 2);
    return Placement::split(StationId{here}, StationId{1 - here});
  }
};

/// Both prompts fill their instances, and neither KV finds room at the other: one call turns back and decodes where it
/// is; when it has left, the other comes.
TEST(Journey, CallsThatWaitForEachOthersRoomDoNotWaitForever) {
  Crossed policy;
  const std::string engine = "engine batching=sarathi stations=2 kv_blocks=10 block=16 cost: 10ms\n";
  const auto run = run_cluster(engine + "t=0ms a prompt=100 out=20\nt=0ms b prompt=100 out=20\n", two_pools(policy, 0));
  const Row &a = run.rows.at(0), &b = run.rows.at(1);
  const Row& back = a.decode_station.valid() ? b : a;
  const Row& moved = a.decode_station.valid() ? a : b;
  EXPECT_FALSE(back.decode_station.valid());
  EXPECT_EQ(back.finish, at(200ms));
  EXPECT_EQ(moved.decode_queue, back.finish - moved.first_token);
  EXPECT_EQ(moved.finish, at(390ms));
}

/// At every tick, the only call moves to the other instance.
class PingPong final : public ClusterPolicy {
 public:
  PingPong(Move how, Duration period, LiveMove live = {}) : how_(how), period_(period), live_(live) {}
  LiveMove live_move() const override { return live_; }
  Placement route(CallId, Cluster&, Rng) override { return Placement::at(StationId{0}); }
  Duration tick() const override { return period_; }
  void on_tick(Cluster& c) override {
    for (const StationId s : {StationId{0}, StationId{1}})
      for (const CallId id : std::vector<CallId>(c.decoding(s).begin(), c.decoding(s).end()))
        if (!c.moving(id) && c.migrate(id, StationId{1 - s.index}, how_)) return;
  }

 private:
  Move how_;
  Duration period_;
  LiveMove live_;
};

ClusterParts one_pool(ClusterPolicy& policy, std::int64_t bytes_per_s) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "main", .count = 2, .kv_bytes_per_token = Bytes{1'000'000}, .bytes_per_s = bytes_per_s}};
  return c;
}

/// Stop and copy: 100 prompt tokens by 110 ms, one more at 120 ms; the tick at 125 ms stops it at 130 ms with 102
/// tokens of KV, which take 102 ms.
TEST(Journey, StopAndCopyStandsStillForTheWholeCopy) {
  PingPong policy(Move::kStop, 125ms);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=5\n", one_pool(policy, 1'000'000'000));
  EXPECT_EQ(run.rows.at(0).transfer, Duration{102ms});
  EXPECT_EQ(run.rows.at(0).finish, at(130ms + 102ms + 20ms));
  EXPECT_EQ(run.rows.at(0).migrations, 1);
}

/// Live: the first 101 tokens are copied in 101 ms while ten more come; those ten are copied while one more comes; the
/// call stands still for the rest only.
TEST(Journey, ALiveMoveStandsStillForItsLastStage) {
  PingPong policy(Move::kLive, 125ms, {.last = Tokens{2}});
  ClusterParts c = one_pool(policy, 1'000'000'000);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=16\n", c);
  EXPECT_EQ(run.rows.at(0).migrations, 1);
  EXPECT_LE(run.rows.at(0).transfer, Duration{3ms});
  EXPECT_GT(run.rows.at(0).transfer, Duration{});
  EXPECT_EQ(run.rows.at(0).status, Status::kDone);
}

/// Recompute: what was computed is computed again where it goes, its tokens stay.
TEST(Journey, ARecomputedCallKeepsItsTokens) {
  PingPong policy(Move::kRecompute, 125ms);
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=5\n", one_pool(policy, 0));
  EXPECT_EQ(run.rows.at(0).first_token, at(110ms));
  // it leaves at 130 ms with 3 tokens out; 103 tokens are prefilled in 113 ms, which emits the fourth; one more in 10
  // ms
  EXPECT_EQ(run.rows.at(0).finish, at(130ms + 113ms + 10ms));
}

/// Live by tokens: 101 tokens are known at 125 ms, their KV is computed in 111 ms, while eleven more come; these are
/// below the delta, so the call stops at its next boundary (240 ms) with 113 tokens of KV, and stands still for the
/// step that computes the last twelve.
TEST(Journey, ALiveMoveByTokensStandsStillForItsDeltaOnly) {
  PingPong policy(Move::kLiveTokens, 125ms);
  ClusterParts c = one_pool(policy, 0);
  const std::string load = "t=0ms a prompt=100 out=20\n";
  const auto run = run_cluster(std::string(kEngine) + load, c);
  const Row& a = run.rows.at(0);
  EXPECT_EQ(a.migrations, 1);
  EXPECT_EQ(a.transfer, Duration{22ms});
  EXPECT_EQ(a.finish, at(240ms + 22ms + 60ms));   // 14 tokens at the source, six more
  EXPECT_EQ(run.outcome.summary.tokens.recomputed, 113);
  EXPECT_EQ(run.outcome.summary.broken, std::vector<std::string>{});
  c.tokens_last = Tokens{3};   // two more rounds: 11 tokens in 21 ms, in which two come
  const auto more = run_cluster(std::string(kEngine) + load, c);
  EXPECT_EQ(more.rows.at(0).transfer, Duration{13ms});
  EXPECT_EQ(more.outcome.summary.tokens.recomputed, 115);
}

/// To compute the KV of 1000 tokens costs 100 decode steps (ServerlessLLM, section 5), so each round has a tenth of the
/// tokens of the one before: about 1010, 102, 11, 2, and the last, for which the call stands still.
TEST(Journey, RoundsOfTokensConverge) {
  PingPong policy(Move::kLiveTokens, 1100ms);
  ClusterParts c = one_pool(policy, 0);
  c.tokens_last = Tokens{1};
  const auto run = run_cluster(
      "engine batching=sarathi stations=2 kv_blocks=200 block=16 token_budget=2000 cost: 10ms + 1ms*prefill\n"
      "t=0ms a prompt=1000 out=200\n",
      c, false);
  EXPECT_EQ(run.rows.at(0).migrations, 1);
  EXPECT_LE(run.rows.at(0).transfer, Duration{12ms});
  EXPECT_EQ(run.outcome.summary.steps, 200 + 5);
  EXPECT_EQ(run.outcome.summary.broken, std::vector<std::string>{});
}

/// The destination has a call of its own: it does not compute for others.
TEST(Journey, ALiveMoveByTokensNeedsAnEmptyDestination) {
  class Busy final : public ClusterPolicy {
   public:
    Placement route(CallId id, Cluster& c, Rng) override {
      return Placement::at(StationId{static_cast<std::int32_t>(c.call(id).number)});
    }
    Duration tick() const override { return Duration{125ms}; }
    void on_tick(Cluster& c) override {
      const auto there = c.decoding(StationId{0});
      if (!there.empty()) moved = moved || c.migrate(there.front(), StationId{1}, Move::kLiveTokens);
    }
    bool moved = false;
  } policy;
  run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=5\nt=0ms b prompt=100 out=9\n", one_pool(policy, 0));
  EXPECT_FALSE(policy.moved);
}

class Still final : public ClusterPolicy {
 public:
  Placement route(CallId, Cluster& c, Rng) override {
    for (const Instance& x : c.instances())
      if (x.takes_calls()) return Placement::at(x.station);
    return Placement::hold();
  }
};

/// Instance 0 fails at 125 ms, in the middle of an iteration: the token of that one is lost, the two that came are not.
TEST(Life, AFailureLosesTheStepUnderWay) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.happenings = {{Happening::kStop, at(125ms), StationId{0}}};
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=5\n", c);
  EXPECT_EQ(run.rows.at(0).finish, at(125ms + 112ms + 20ms));   // 102 tokens again emit the third, two more follow
  EXPECT_EQ(run.outcome.paid[0], Duration{125ms});
  EXPECT_EQ(run.outcome.paid[1], run.rows.at(0).finish - Time{});
}

TEST(Life, AFailureMayLoseAllThatWasSaid) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.lost_calls = Move::kRestart;
  c.happenings = {{Happening::kStop, at(125ms), StationId{0}}};
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=5\n", c);
  EXPECT_EQ(run.rows.at(0).first_token, at(125ms + 110ms));
  EXPECT_EQ(run.rows.at(0).finish, at(125ms + 110ms + 40ms));
}

/// Nobody serves until the instance has started; the call waits for it.
TEST(Life, CallsWaitForAnInstanceThatStarts) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.pools[0].serving = 0;
  c.happenings = {{.kind = Happening::kStart, .at = at(1s), .station = StationId{1}, .delay = 30s}};
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=1\n", c);
  EXPECT_EQ(run.rows.at(0).first_schedule, at(31s));
  EXPECT_EQ(run.rows.at(0).station, StationId{1});
  EXPECT_EQ(run.outcome.paid[0], Duration{});
  EXPECT_EQ(run.outcome.paid[1], Duration{30s + 110ms});
}

/// A cold start: the instance loads from 10 ms to 2.01 s. The call that came at 0 s waited for that; the one that came
/// at 1.51 s for the last half second; what comes later not at all.
TEST(Life, ALoadIsWhatCallsWaitedForIt) {
  class Cold final : public ClusterPolicy {
   public:
    Placement route(CallId, Cluster& c, Rng) override {
      held = c.held().size();
      if (c.instance(StationId{1}).takes_calls()) return Placement::at(StationId{1});
      c.wake(Time{} + 10ms);
      return Placement::hold();
    }
    void on_tick(Cluster& c) override { c.load(StationId{1}, 2s, Tier::kSsd, 0); }
    std::size_t held = 0;
  } policy;
  ClusterParts c = one_pool(policy, 0);
  c.pools[0].serving = 0;
  const auto run = run_cluster(
      std::string(kEngine) + "t=0ms a prompt=10 out=1\nt=1510ms b prompt=10 out=1\nt=5s c prompt=10 out=1\n", c);
  EXPECT_EQ(run.rows.at(0).load, Duration{2s});
  EXPECT_EQ(run.rows.at(1).load, Duration{500ms});
  EXPECT_EQ(run.rows.at(2).load, Duration{});
  EXPECT_EQ(run.outcome.cold_starts.all.count, 1);
  EXPECT_EQ(run.outcome.cold_starts.by_tier[static_cast<std::size_t>(Tier::kSsd)].mean_s, 2.0);
}

/// An instance that was started with a model serves no other.
TEST(Life, ACallOfAnotherModelIsRefused) {
  class Wrong final : public ClusterPolicy {
   public:
    Placement route(CallId, Cluster& c, Rng) override {
      if (c.instance(StationId{1}).takes_calls()) return Placement::at(StationId{1});
      c.load(StationId{1}, 1s, Tier::kSsd, 7);
      return Placement::hold();
    }
  } policy;
  ClusterParts c = one_pool(policy, 0);
  c.pools[0].serving = 0;
  EXPECT_THROW(run_cluster(std::string(kEngine) + "t=0ms a prompt=10 out=1\n", c), EngineError);
}

/// A draining instance finishes what it has, then is off and costs nothing.
TEST(Life, ADrainedInstanceGoesWhenItIsEmpty) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.happenings = {{Happening::kDrain, at(50ms), StationId{0}}};
  const auto run =
      run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=3\nt=60ms b prompt=100 out=3\n", c);
  EXPECT_EQ(run.rows.at(0).station, StationId{0});
  EXPECT_EQ(run.rows.at(1).station, StationId{1});
  EXPECT_EQ(run.outcome.paid[0], Duration{130ms});
}

/// From 50 ms on, steps of instance 0 take three times as long; the one under way does not.
TEST(Life, ASlowInstanceIsSlowFromItsNextStepOn) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.happenings = {{.kind = Happening::kSlow, .at = at(50ms), .station = StationId{0}, .per_mille = 3000}};
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=3\n", c);
  EXPECT_EQ(run.rows.at(0).finish, at(110ms + 60ms));
}

TEST(Life, AnAnnouncedInstanceServesUntilItGoes) {
  Still policy;
  ClusterParts c = one_pool(policy, 0);
  c.happenings = {{.kind = Happening::kAnnounce, .at = at(50ms), .station = StationId{0}, .delay = 85ms}};
  const auto run =
      run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=3\nt=60ms b prompt=100 out=3\n", c);
  EXPECT_EQ(run.rows.at(0).finish, at(130ms));
  EXPECT_EQ(run.rows.at(1).station, StationId{1});
  EXPECT_EQ(run.outcome.paid[0], Duration{135ms});
}

}  // namespace
}  // namespace orrery
