/// Llumnix and its baselines in small clusters whose times were worked out by hand.
#include "policies/migration/llumnix.hpp"

#include <gtest/gtest.h>

#include "policies/migration/in_turn.hpp"
#include "policies/migration/infaas.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

ClusterParts pool_of(ClusterPolicy& policy, int count, std::int64_t bytes_per_s = 0,
                     Bytes per_token = Bytes{1'000'000}) {
  ClusterParts c;
  c.policy = &policy;
  c.pools = {{.name = "main", .count = count, .kv_bytes_per_token = per_token, .bytes_per_s = bytes_per_s}};
  return c;
}

LlumnixConfig quiet() {   // dispatch alone
  LlumnixConfig c;
  c.migrate = false;
  return c;
}

std::string engine(int stations, int blocks, const char* more = "") {
  return "engine batching=vllm stations=" + std::to_string(stations) + " kv_blocks=" + std::to_string(blocks) +
         " block=16 " + more + " cost: 10ms\n";
}

std::vector<std::string> with(const std::vector<std::string>& lines, const std::string& what) {
  std::vector<std::string> out;
  for (const std::string& line : lines)
    if (line.find(what) != std::string::npos) out.push_back(line);
  return out;
}

/// One call holds 50 of 100 blocks of instance 0, two hold 20 together at instance 1. Memory says 1 (20 < 50), freeness
/// 0: 50 blocks for one call last longer than 80 for two.
TEST(Dispatch, FreenessLooksAtTheBatchWhereMemoryLoadDoesNot) {
  const std::string text = engine(2, 100) +
                           "t=0ms a prompt=784 out=90\nt=11ms b prompt=150 out=90\nt=21ms c prompt=150 out=90\n"
                           "t=31ms d prompt=16 out=90\n";
  Llumnix llumnix(quiet());
  Infaas infaas({});
  InTurn in_turn;
  const auto ours = run_cluster(text, pool_of(llumnix, 2));
  EXPECT_EQ(ours.rows.at(1).station, StationId{1});
  EXPECT_EQ(ours.rows.at(2).station, StationId{1});
  EXPECT_EQ(ours.rows.at(3).station, StationId{0});
  const auto theirs = run_cluster(text, pool_of(infaas, 2));
  EXPECT_EQ(theirs.rows.at(1).station, StationId{1});
  EXPECT_EQ(theirs.rows.at(2).station, StationId{1});
  EXPECT_EQ(theirs.rows.at(3).station, StationId{1});
  const auto turns = run_cluster(text, pool_of(in_turn, 2));
  EXPECT_EQ(turns.rows.at(2).station, StationId{0});
}

/// Two calls of 40 blocks stand on one instance each when one of 70 comes: nowhere do 70 of 100 fit. Llumnix moves a
/// call away to let the queue head in; INFaaS++ lets it wait until a call ends.
TEST(Migration, LetsTheQueueHeadIn) {
  const std::string text = engine(2, 100) +
                           "t=0ms a prompt=640 out=100\nt=0ms b prompt=640 out=100\nt=100ms c prompt=1040 out=5\n";
  LlumnixConfig config;
  config.threshold = 0;
  Llumnix llumnix(config);
  Infaas infaas({});
  const auto ours = run_cluster(text, pool_of(llumnix, 2)), theirs = run_cluster(text, pool_of(infaas, 2));
  EXPECT_EQ(ours.outcome.migrations, 1);
  EXPECT_LT(ours.rows.at(2).first_token, at(250ms));
  EXPECT_EQ(theirs.rows.at(2).first_token, theirs.rows.at(0).finish + Duration{10ms});
}

constexpr const char* kThree = "t=0ms a prompt=100 out=300\nt=20ms b prompt=40 out=300\nt=40ms c prompt=200 out=300\n";

/// The calls that leave instance 0, which drains from 100 ms on, in order; instance 1 serves from then on.
std::vector<std::string> leaving(LlumnixConfig config, const std::string& requests) {
  Llumnix policy(config);
  ClusterParts c = pool_of(policy, 2, 1'000'000'000);
  c.pools[0].serving = 1;
  c.happenings = {{.kind = Happening::kStart, .at = at(90ms), .station = StationId{1}},
                  {Happening::kDrain, at(100ms), StationId{0}}};
  std::vector<std::string> out;
  for (const std::string& line : with(run_cluster(engine(2, 200) + requests, c).actions, "policy: migrate"))
    out.push_back(line.substr(line.find('#')));
  return out;
}

using Lines = std::vector<std::string>;

TEST(Victim, LastToComeShortestOrLongest) {
  LlumnixConfig config;
  EXPECT_EQ(leaving(config, kThree), (Lines{"#2 1", "#1 1", "#0 1"}));
  config.victim = Victim::kShortest;
  EXPECT_EQ(leaving(config, kThree), (Lines{"#1 1", "#0 1", "#2 1"}));
  config.victim = Victim::kLongest;
  EXPECT_EQ(leaving(config, kThree), (Lines{"#2 1", "#0 1", "#1 1"}));
}

TEST(Victim, LowPriorityFirst) {
  const std::string requests =
      "t=0ms a prompt=100 out=300 prio=0\nt=20ms b prompt=40 out=300 prio=-1\nt=40ms c prompt=200 out=300 prio=-1\n";
  LlumnixConfig config;
  EXPECT_EQ(leaving(config, requests), (Lines{"#0 1", "#2 1", "#1 1"}));
  config.priorities = false;   // Llumnix-base
  EXPECT_EQ(leaving(config, requests), (Lines{"#2 1", "#1 1", "#0 1"}));
}

/// Migrations of an instance do not overlap: each begins when the one before has landed, or after.
TEST(Migration, AnInstanceTakesPartInOneAtATime) {
  Llumnix policy({});
  ClusterParts c = pool_of(policy, 2, 1'000'000'000);   // several polls for a call
  c.pools[0].serving = 1;
  c.happenings = {{.kind = Happening::kStart, .at = at(90ms), .station = StationId{1}},
                  {Happening::kDrain, at(100ms), StationId{0}}};
  const auto run = run_cluster(
      engine(2, 2000) + "t=0ms a prompt=100 out=3000\nt=0ms b prompt=40 out=3000\nt=0ms c prompt=200 out=3000\n", c);
  int open = 0, migrations = 0;
  for (const std::string& line : run.actions) {
    if (line.find("policy: migrate") != std::string::npos) ++open, ++migrations;
    if (line.find("engine: land") != std::string::npos || line.find("engine: give up") != std::string::npos) --open;
    ASSERT_LE(open, 1) << line;
  }
  EXPECT_EQ(migrations, 3);
}

TEST(Migration, EmptiesADrainingInstance) {
  Llumnix llumnix({});
  Infaas infaas({});
  const auto off = [](ClusterPolicy& policy) {
    ClusterParts c = pool_of(policy, 2, 1'000'000'000);
    c.pools[0].serving = 1;
    c.happenings = {{.kind = Happening::kStart, .at = at(90ms), .station = StationId{1}},
                    {Happening::kDrain, at(100ms), StationId{0}}};
    return run_cluster(engine(2, 200) + kThree, c).outcome.paid[0];
  };
  EXPECT_LT(off(llumnix), Duration{1s});
  EXPECT_GT(off(infaas), Duration{3s});   // until its calls have ended: 300 steps
}

class Mover final : public ClusterPolicy {
 public:
  Mover(Move how, Duration when) : how_(how), when_(when) {}
  Placement route(CallId, Cluster& c, Rng) override {
    return Placement::at(StationId{c.instance(StationId{0}).load->calls > 0 ? 1 : 0});
  }
  Duration tick() const override { return when_; }
  void on_tick(Cluster& c) override {
    if (c.now() > at(when_)) return;
    for (const CallId id : std::vector<CallId>(c.decoding(StationId{0}).begin(), c.decoding(StationId{0}).end()))
      moved_ = c.migrate(id, StationId{1}, how_);
  }
  bool moved() const { return moved_; }
  LiveMove live_move() const override { return {Tokens{4}, 10}; }

 private:
  Move how_;
  Duration when_;
  bool moved_ = false;
};

/// A 7B model (512 KiB of KV a token) over 8 GB/s, steps of 30 ms, 10 ms of latency: a call stands still for that
/// latency and the copy of what the copy before it let come, 10 to 12 ms at every length (the paper: 20 to 30 ms,
/// flat). Stop and copy would take 66 us a token.
TEST(LiveMigration, StandsStillAsLongWhateverTheContext) {
  for (const int prompt : {1024, 2048, 4096, 8192}) {
    const std::string text =
        "engine batching=vllm stations=2 kv_blocks=851 block=16 token_budget=8192 cost: 30ms\nt=0ms a prompt=" +
        std::to_string(prompt) + " out=200\n";
    Duration stood[2];
    for (const Move how : {Move::kLive, Move::kStop}) {
      Mover policy(how, 100ms);
      ClusterParts c = pool_of(policy, 2, 8'000'000'000, Bytes{524288});
      c.links = {{PoolId{0}, PoolId{0}, 0, 10ms}};
      const auto run = run_cluster(text, c);
      ASSERT_EQ(run.outcome.migrations, 1);
      stood[how == Move::kStop] = run.outcome.longest_downtime;
      EXPECT_EQ(run.rows.at(0).transfer, run.outcome.longest_downtime);
    }
    EXPECT_GE(stood[0], Duration{10ms}) << prompt;
    EXPECT_LE(stood[0], Duration{12ms}) << prompt;
    const Duration whole = 10ms + Duration{prompt * std::int64_t{65'536'000}};   // 512 KiB / 8 GB/s = 65.536 us a token
    EXPECT_GE(stood[1], whole) << prompt;
    EXPECT_LE(stood[1], whole + Duration{1ms}) << prompt;
  }
}

/// 172 tokens, 11 blocks, take 86 ms to copy; 8 more come, which need a 12th. A call at the destination has taken the
/// last of 20 meanwhile: the move is given up, and the call ends where it was, without a pause.
TEST(LiveMigration, AbortsWhenTheDestinationHasNoRoomForAStage) {
  Mover policy(Move::kLive, 35ms);
  const auto run = run_cluster(engine(2, 20) + "t=0ms a prompt=170 out=60\nt=1ms b prompt=126 out=60\n",
                               pool_of(policy, 2, 2'000'000'000));
  EXPECT_TRUE(policy.moved());
  EXPECT_EQ(with(run.actions, "engine: give up").size(), 1u);
  EXPECT_EQ(run.outcome.migrations, 0);
  EXPECT_EQ(run.rows.at(0).finish, at(600ms));
  EXPECT_EQ(run.rows.at(0).transfer, Duration{});
  EXPECT_EQ(run.rows.at(1).status, Status::kDone);
}

TEST(LiveMigration, IsNotBegunWithoutRoomForWhatThereIs) {
  Mover policy(Move::kLive, 35ms);
  const auto run = run_cluster(engine(2, 20) + "t=0ms a prompt=160 out=60\nt=1ms b prompt=200 out=60\n",
                               pool_of(policy, 2, 1'000'000'000));
  EXPECT_FALSE(policy.moved());
  EXPECT_EQ(with(run.actions, "migrate"), Lines{});
}

/// Preempted at 20 ms of its answer, taken up again when the other call ends: all of that time is lost to it.
TEST(Preemption, LossIsTheTimeUntilTheCallDecodesAgain) {
  Infaas policy({});
  const auto run = run_cluster(
      engine(1, 20, "kv.watermark=0") + "t=0ms a prompt=150 out=40\nt=0ms b prompt=150 out=40\n", pool_of(policy, 1));
  ASSERT_EQ(run.rows.at(1).preemptions, 1);
  const Row &a = run.rows.at(0), &b = run.rows.at(1);
  // both: 150 tokens in 10 blocks, the 161st token needs an 11th: after 11 tokens b gives way; a ends, then b is
  // computed anew
  EXPECT_EQ(a.finish, at(400ms));
  EXPECT_DOUBLE_EQ(run.outcome.summary.kv.preemption_loss_s, 0.3);   // from 110 ms to 410 ms
  EXPECT_EQ(b.finish, at(410ms + 280ms));
}

AutoscaleConfig scaling(double below, double above) {
  AutoscaleConfig c;
  c.autoscale = true;
  c.scale_interval = 50ms;
  c.scale_up_below = below;
  c.scale_down_above = above;
  c.startup = 20ms;
  return c;
}

/// Two calls on 100 blocks: 40 free blocks a call at 50 ms. Above 10: nothing. Below 41: one is started; 40 + 100 / 2
/// is enough.
TEST(Autoscale, AddsAsManyAsBringTheAverageUp) {
  const std::string text = engine(4, 100) + "t=0ms a prompt=150 out=11\nt=0ms b prompt=150 out=11\n";
  for (const auto& [below, started] : {std::pair{10.0, 0u}, {41.0, 1u}, {91.0, 2u}, {1000.0, 3u}}) {
    Infaas policy(scaling(below, 1e6));
    ClusterParts c = pool_of(policy, 4);
    c.pools[0].serving = 1;
    EXPECT_EQ(with(run_cluster(text, c).actions, "policy: loading").size(), started) << below;
  }
}

/// Two serve: one call at instance 0, two at 1, none at 2, which is drained; then no more than the last but one.
TEST(Autoscale, DrainsTheOneWithTheFewestCalls) {
  const std::string text =
      engine(3, 100) + "t=0ms a prompt=150 out=20\nt=0ms b prompt=20 out=20\nt=0ms c prompt=20 out=11\n";
  AutoscaleConfig config = scaling(0, 60);
  config.min_instances = 2;
  Infaas policy(config);
  const auto drained = with(run_cluster(text, pool_of(policy, 3)).actions, "policy: draining");
  ASSERT_EQ(drained.size(), 1u);
  EXPECT_NE(drained[0].find("at 0"), std::string::npos) << drained[0];
}

/// A lull and a burst: the draining instance is called back before one that is off.
TEST(Autoscale, CallsADrainingInstanceBackFirst) {
  const std::string text = engine(3, 100) +
                           "t=0ms a prompt=150 out=90\nt=0ms b prompt=150 out=90\nt=120ms 6*x prompt=700 out=20\n";
  Infaas policy(scaling(20, 60));
  ClusterParts c = pool_of(policy, 3);
  c.pools[0].serving = 2;
  const auto run = run_cluster(text, c);
  const auto first = [&](const std::string& what) {
    return std::find_if(run.actions.begin(), run.actions.end(),
                        [&](const std::string& l) { return l.find(what) != std::string::npos; });
  };
  EXPECT_LT(first("policy: draining"), first("policy: serving"));
  EXPECT_LT(first("policy: serving"), first("policy: loading"));
  EXPECT_LT(first("policy: loading"), run.actions.end());
}

}  // namespace
}  // namespace orrery
