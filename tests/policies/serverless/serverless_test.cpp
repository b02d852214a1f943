/// Where models are loaded and what makes room for them, in a cluster of two servers with one device each. Weights of
/// 12 GB come in 0.6 s from pinned memory (which holds two models) and in 6 s from the disk; a step takes 10 ms and 1
/// ms a prompt token. Rounds are at whole seconds; an instance without calls leaves at once.
#include <gtest/gtest.h>

#include <memory>

#include "policies/serverless/download.hpp"
#include "policies/serverless/serverless_random.hpp"
#include "policies/serverless/serverlessllm.hpp"
#include "policies/serverless/shepherd.hpp"
#include "policies/serverless/ssd_cache.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

ClusterParts two_servers(ClusterPolicy& policy, Duration keep_alive = Duration{}) {
  const Server server{.gpus = 1, .dram = Bytes{24'000'000'000}, .dram_bytes_per_s = 20'000'000'000,
                      .ssd_bytes_per_s = 2'000'000'000, .network_bytes_per_s = 1'000'000'000};
  ClusterParts c;
  c.policy = &policy;
  c.servers = {server, server};
  c.pools = {{.name = "gpus", .count = 2, .node_of = {0, 1}, .serving = 0, .weight_bytes = Bytes{12'000'000'000},
              .lifecycle = {.keep_alive = keep_alive}}};
  return c;
}

constexpr const char* kEngine =
    "engine batching=sarathi stations=2 kv_blocks=500 block=16 token_budget=4000 cost: 10ms + 1ms*prefill\n";

/// Model 2 is in the pinned memory of both servers, model 1 in that of server 0 only, where a call of model 2 now runs.
/// Then comes a call of model 1.
std::string busy_where_the_model_is(const std::string& when) {
  return std::string(kEngine) +
         "t=0ms a prompt=100 out=5 model=2\nt=0ms b prompt=100 out=5 model=2\n"
         "t=10s c prompt=100 out=5 model=1\n"
         "t=20s long prompt=100 out=2000 model=2\n"
         "t=" + when + " late prompt=100 out=5 model=1\n";
}

TEST(ServerlessLlm, ResumeIsAlphaTimesTokensPlusBeta) {
  EXPECT_EQ(ServerlessLlm({}).resume_time(100_tok), 1100ms);
  EXPECT_EQ(ServerlessLlm({.common = {}, .alpha = 1ms, .beta = 0s}).resume_time(250_tok), 250ms);
}

/// At 22 s the long call has 129 tokens. To clear server 0: 0.6 s to load its model on server 1, 1.39 s to resume; then
/// 0.6 s: less than 6 s from the disk of server 1. Its model is there at 22.6 s; its 189 tokens are computed in 199 ms,
/// and while it still runs 20 more come, which take it 30 ms.
TEST(ServerlessLlm, MovesARunningCallAwayWhereTheModelIs) {
  ServerlessLlm policy({});
  const auto run = run_cluster(busy_where_the_model_is("21700ms"), two_servers(policy));
  const Row &moved = run.rows.at(3), &late = run.rows.at(4);
  EXPECT_EQ(moved.station, StationId{0});
  EXPECT_EQ(moved.decode_station, StationId{1});
  EXPECT_EQ(moved.migrations, 1);
  EXPECT_LE(moved.transfer, Duration{31ms});
  EXPECT_EQ(late.station, StationId{0});
  EXPECT_EQ(late.load, Duration{600ms});
  EXPECT_GT(late.first_schedule, at(22600ms + 199ms + 600ms));
  EXPECT_LT(late.first_schedule, at(22600ms + 199ms + 600ms + 50ms));
  EXPECT_EQ(moved.finish, at(21600ms + 110ms) + 1999 * 10ms + moved.transfer);   // the rounds cost it nothing
}

/// Three seconds later it has 529 tokens, and would take 5.39 s to resume: the disk is faster.
TEST(ServerlessLlm, LeavesACallThatHasTooMuchToTakeAlong) {
  ServerlessLlm policy({});
  const auto run = run_cluster(busy_where_the_model_is("25500ms"), two_servers(policy));
  EXPECT_EQ(run.rows.at(3).migrations, 0);
  EXPECT_EQ(run.rows.at(4).station, StationId{1});
  EXPECT_EQ(run.rows.at(4).first_schedule, at(26s + 6s));
}

/// Its nearest neighbour stops the running call: the new one is faster, the other stands still for its model.
TEST(Shepherd, PreemptsWhereServerlessLlmMoves) {
  Shepherd policy({});
  const auto run = run_cluster(busy_where_the_model_is("21700ms"), two_servers(policy));
  const Row &stopped = run.rows.at(3), &late = run.rows.at(4);
  EXPECT_EQ(late.station, StationId{0});
  EXPECT_EQ(late.first_schedule, at(22600ms));
  EXPECT_EQ(stopped.preemptions, 1);
  EXPECT_EQ(stopped.migrations, 0);
  EXPECT_EQ(stopped.load, Duration{600ms} + Duration{600ms});
  // held from 22 s to the round at 23 s, loaded at 23.6 s; 130 tokens are computed again for the 31st
  EXPECT_EQ(stopped.finish, at(23600ms + 140ms) + 1969 * 10ms);
}

TEST(ServerlessRandom, TakesTheFreeDeviceWhateverItsDiskHas) {
  ServerlessRandom policy({});
  const auto run = run_cluster(busy_where_the_model_is("21700ms"), two_servers(policy));
  EXPECT_EQ(run.rows.at(3).migrations + run.rows.at(3).preemptions, 0);
  EXPECT_NE(run.rows.at(4).station, run.rows.at(3).station);
}

/// Without caches each start takes 12 s over the network; with a disk the second start takes 6 s.
TEST(Download, ComesOverTheNetworkEveryTime) {
  Download none({});
  SsdCache ssd({});
  const std::string load =
      std::string(kEngine) + "t=0ms a prompt=100 out=5 model=1\nt=50s b prompt=100 out=5 model=1\n";
  for (const bool cached : {false, true}) {
    ClusterParts c = two_servers(cached ? static_cast<ClusterPolicy&>(ssd) : none);
    c.pools[0].count = 1;
    c.pools[0].node_of = {0};
    c.pools[0].lifecycle.tier = Tier::kRemote;
    std::string one = load;
    one.replace(one.find("stations=2"), 10, "stations=1");
    const auto run = run_cluster(one, c);
    EXPECT_EQ(run.rows.at(0).first_schedule, at(13s));
    EXPECT_EQ(run.rows.at(1).first_schedule, at(51s) + (cached ? 6s : 12s));
    EXPECT_EQ(run.outcome.cold_starts.all.count, 2);
    EXPECT_EQ(run.outcome.cold_starts.by_tier[static_cast<std::size_t>(Tier::kSsd)].count, cached ? 1 : 0);
  }
}

/// A call that comes while its model is kept alive starts at once; keep-alive is the load's time unless the pool says.
TEST(Serverless, AnInstanceStaysForItsKeepAlive) {
  const std::string load = std::string(kEngine) + "t=0ms a prompt=90 out=1 model=1\nt=13s b prompt=90 out=1 model=1\n"
                                                  "t=60s c prompt=90 out=1 model=1\n";
  ServerlessLlm usual({}), stated({});
  const auto run = run_cluster(load, two_servers(usual, Duration{-1}));   // 6 s, the time of its load
  EXPECT_EQ(run.rows.at(1).load, Duration{});
  EXPECT_EQ(run.rows.at(1).first_schedule, at(13s));
  EXPECT_EQ(run.outcome.paid[0], at(13s + 100ms + 6s) - at(1s) + 600ms + 100ms);   // the last is loaded from memory
  const auto cold = run_cluster(load, two_servers(stated, 1s));
  EXPECT_EQ(cold.rows.at(1).first_schedule, at(14s + 600ms));
  EXPECT_EQ(cold.outcome.cold_starts.all.count, 3);
}

TEST(Serverless, TheLastOnesStay) {
  ServerlessLlm policy({});
  ClusterParts c = two_servers(policy);
  c.pools[0].lifecycle.min = 1;
  const auto run =
      run_cluster(std::string(kEngine) + "t=0ms a prompt=90 out=1 model=1\nt=60s b prompt=90 out=1 model=1\n", c);
  EXPECT_EQ(run.rows.at(1).first_schedule, at(60s));
  EXPECT_EQ(run.outcome.cold_starts.all.count, 1);
}

/// An instance that is taken away is not used until it comes back.
TEST(Serverless, ALostDeviceIsNotUsed) {
  ServerlessLlm policy({});
  ClusterParts c = two_servers(policy);
  c.happenings = {{Happening::kStop, at(8s), StationId{0}}};
  const auto run =
      run_cluster(std::string(kEngine) + "t=0ms a prompt=100 out=500 model=1\nt=20s b prompt=90 out=1 model=1\n", c);
  EXPECT_EQ(run.rows.at(0).station, StationId{0});
  EXPECT_EQ(run.rows.at(0).status, Status::kDone);
  EXPECT_EQ(run.rows.at(0).load, Duration{12s});   // and once more, on the other server
  EXPECT_EQ(run.rows.at(1).station, StationId{1});
}

/// Calls for three models, on all policies: every identity holds (run_cluster throws else), fast-forwarded as stepped.
TEST(Serverless, FastForwardEqualsStepping) {
  std::string text = kEngine;
  Rng rng(3, Purpose::kFuzz, 9);
  for (int i = 0; i < 120; ++i)
    text += "t=" + std::to_string(i * 1200 + static_cast<int>(rng.below(1200))) + "ms r" + std::to_string(i) +
            " prompt=" + std::to_string(1 + rng.below(300)) + " out=" + std::to_string(1 + rng.below(700)) +
            " model=" + std::to_string(1 + rng.below(3)) + "\n";
  std::int64_t moved = 0, stopped = 0;
  for (int which = 0; which < 6; ++which) {
    ClusterRun runs[2];
    for (const bool fast : {false, true}) {
      std::unique_ptr<ClusterPolicy> policy;
      if (which == 0) policy = std::make_unique<ServerlessLlm>(ServerlessLlmConfig{});
      if (which == 1)
        policy = std::make_unique<ServerlessLlm>(ServerlessLlmConfig{.common = {}, .alpha = 0s, .beta = 0s});
      if (which == 2) policy = std::make_unique<Shepherd>(ServerlessConfig{});
      if (which == 3) policy = std::make_unique<ServerlessRandom>(ServerlessConfig{.interval = 1s, .concurrency = 4});
      if (which == 4) policy = std::make_unique<SsdCache>(ServerlessConfig{});
      if (which == 5) policy = std::make_unique<Download>(ServerlessConfig{});
      ClusterParts c = two_servers(*policy);
      c.pools[0].count = 4;
      c.pools[0].node_of = {0, 0, 1, 1};
      std::string four = text;
      four.replace(four.find("stations=2"), 10, "stations=4");
      runs[fast] = run_cluster(four, c, fast);
    }
    EXPECT_EQ(runs[0].outcome.fingerprint, runs[1].outcome.fingerprint) << which << first_difference(runs[0], runs[1]);
    EXPECT_EQ(runs[1].rows.size(), 120u);
    for (const auto& [number, row] : runs[1].rows) {
      EXPECT_EQ(row.status, Status::kDone);
      moved += row.migrations;
      stopped += which == 2 ? row.preemptions : 0;
    }
  }
  EXPECT_GT(moved, 0);
  EXPECT_GT(stopped, 0);
}

}  // namespace
}  // namespace orrery
