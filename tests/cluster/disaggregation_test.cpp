/// The systems over pools in whole runs: what they do differently from their nearest relative, and the same journeys
/// whether runs are fast-forwarded or stepped.
#include <gtest/gtest.h>

#include <algorithm>

#include "policies/disaggregation/distserve.hpp"
#include "policies/disaggregation/shortest_queue.hpp"
#include "policies/disaggregation/splitwise.hpp"
#include "policies/disaggregation/tetriinfer.hpp"
#include "tests/cluster/support.hpp"

namespace orrery {
namespace {

Time at(Duration d) { return Time{} + d; }

/// Instance 0 takes prompts, 1 and 2 decode; 1 MB of KV a token, 1 GB/s.
ClusterParts one_and_two(ClusterPolicy& policy) {
  ClusterParts c;
  c.policy = &policy;
  const PoolParts like{
      .name = "like", .kv_bytes_per_token = Bytes{1'000'000}, .layers = 10, .bytes_per_s = 1'000'000'000};
  c.pools = {like, like};
  c.pools[0].name = "prompt";
  c.pools[0].role = Role::kPrefill;
  c.pools[1].name = "token";
  c.pools[1].role = Role::kDecode;
  c.pools[1].count = 2;
  return c;
}

constexpr const char* kEngine =
    "engine batching=vllm token_budget=2048 stations=3 kv_blocks=2000 block=16  cost: 10ms + 1ms*prefill\n";
/// The third finds 6,000 tokens that wait at instance 0, and would make them 9,000.
constexpr const char* kBurst = "t=0ms a prompt=3000 out=4\nt=1ms b prompt=3000 out=4\nt=2ms c prompt=3000 out=4\n";

bool did(const ClusterRun& run, const std::string& what) {
  return std::ranges::any_of(run.actions,
                             [&](const std::string& line) { return line.find(what) != std::string::npos; });
}

TEST(Disaggregation, SplitwiseTakesATokenMachineWhereShortestQueueWaits) {
  Splitwise splitwise({});
  const auto run = run_cluster(std::string(kEngine) + kBurst, one_and_two(splitwise));
  EXPECT_EQ(run.rows.at(2).station, StationId{1});
  EXPECT_EQ(run.rows.at(2).first_token, at(2ms + 3010ms));
  ShortestQueue plain;
  const auto other = run_cluster(std::string(kEngine) + kBurst, one_and_two(plain));
  EXPECT_EQ(other.rows.at(2).station, StationId{0});
  EXPECT_EQ(other.rows.at(2).first_token, at(3 * 3010ms));
}

TEST(Disaggregation, SplitwiseGivesItBackWhenItHasDrained) {
  Splitwise splitwise({});
  const auto run = run_cluster(std::string(kEngine) + kBurst, one_and_two(splitwise));
  EXPECT_TRUE(did(run, "2ms policy: mixed at 1"));
  EXPECT_TRUE(did(run, "policy: decode at 1"));
}

/// Of ten layers, nine go during the prompt of 3,010 ms; of a prompt below 512 tokens, none.
TEST(Disaggregation, SplitwiseHidesLongTransfersOnly) {
  Splitwise splitwise({});
  const auto run = run_cluster(std::string(kEngine) + "t=0ms a prompt=3000 out=4\nt=9s b prompt=400 out=4\n",
                               one_and_two(splitwise));
  EXPECT_EQ(run.rows.at(0).transfer, Duration{300ms});
  EXPECT_EQ(run.rows.at(1).transfer, Duration{400ms});
}

/// Room for one call at the decode instance and for two prompts where prompts are computed. The third starts when the
/// second's KV has been taken, though nothing runs there.
TEST(Disaggregation, APrefillInstanceFullOfKvThatNobodyTookStartsNoBatch) {
  DistServe policy({});
  ClusterParts c = one_and_two(policy);
  c.pools[1].count = 1;
  for (PoolParts& p : c.pools) p.bytes_per_s = 0;   // transfers take no time
  const auto run = run_cluster(
      "engine batching=vllm stations=2 kv_blocks=8 block=16  cost: 10ms + 1ms*prefill\n"
      "t=0ms a prompt=64 out=20\nt=0ms b prompt=64 out=20\nt=0ms c prompt=64 out=20\nt=0ms d prompt=64 out=20\n", c);
  const Row &a = run.rows.at(0), &b = run.rows.at(1), &third = run.rows.at(2);
  EXPECT_EQ(a.first_token, at(138ms));           // a and b together
  EXPECT_EQ(a.decode_queue, Duration{});
  EXPECT_EQ(third.first_schedule, at(138ms));    // a's KV went at once: room for one
  EXPECT_EQ(run.rows.at(3).first_schedule, a.finish);   // d: when a is done, b's KV goes
  EXPECT_EQ(b.decode_queue, a.finish - b.first_token);
}

/// A load that fills queues and memory: 60 calls of 100 to 3,000 prompt tokens.
std::string crowd() {
  std::string text =
      "engine batching=vllm predictor=bucket token_budget=2048 stations=3 kv_blocks=500 block=16  cost: 10ms + 1ms*prefill + 1us*context\n";
  for (int i = 0; i < 60; ++i)
    text += "t=" + std::to_string(i * 217) + "ms r" + std::to_string(i) +
            " prompt=" + std::to_string(100 + i * 7919 % 2900) + " out=" + std::to_string(2 + i * 104729 % 300) + "\n";
  return text;
}

template <class Policy>
void same_stepped() {
  Policy one{typename Policy::Config{}}, other{typename Policy::Config{}};
  const auto fast = run_cluster(crowd(), one_and_two(one)), stepped = run_cluster(crowd(), one_and_two(other), false);
  EXPECT_EQ(first_difference(fast, stepped), "");
  EXPECT_EQ(fast.rows.size(), 60u);
}

TEST(Disaggregation, FastForwardedIsStepped) {
  same_stepped<Splitwise>();
  same_stepped<DistServe>();
  same_stepped<ShortestQueue>();
  same_stepped<TetriInfer>();
}

}  // namespace
}  // namespace orrery
