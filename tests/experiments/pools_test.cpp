/// /cluster/pools and /cluster/links: what is refused, each once and at its place, and requests that a pool cannot
/// hold.
#include "experiments/pools.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "experiments/assembly.hpp"

namespace orrery {
namespace {

using ::testing::ElementsAre;

constexpr const char* kPrefill = R"({"name": "p", "role": "prefill"})";
constexpr const char* kDecode = R"({"name": "d", "role": "decode"})";

Value config(const std::string& cluster) {
  return parse_json(R"({"model": "opt-13b", "hardware": {"name": "a100-80g", "cost": "distserve"}, "warmup": "0s",
    "workload": {"arrival": {"process": "constant", "rate": "5/s"}, "lengths": {"prompt": 500, "output": 50}, "requests": 20},
    "policy": {"batching": "vllm", "cluster": "shortest-queue"}, "cluster": )" + cluster + "}");
}

Value pools(const std::string& first, const std::string& second) {
  return config("{\"pools\": [" + first + ", " + second + "]}");
}

Assembly assembled(Value v) {
  v.anchor("");
  return assemble(Document{std::move(v), {"test"}, "."});
}

std::vector<std::string> errors_of(Value v) {
  std::vector<std::string> lines;
  try {
    assembled(std::move(v));
  } catch (const ConfigError& e) {
    std::string text = e.what();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return lines;
}

class Statuses final : public RowSink {
 public:
  void row(const Row& r) override { all.push_back(r.status); }
  std::vector<Status> all;
};

TEST(Pools, BothPhasesNeedAPool) {
  EXPECT_THAT(errors_of(config("{\"pools\": [" + std::string(kPrefill) + "]}")),
              ElementsAre("/cluster/pools: no pool decodes: one needs the role decode or mixed"));
  EXPECT_THAT(errors_of(config("{\"pools\": [" + std::string(kDecode) + "]}")),
              ElementsAre("/cluster/pools: no pool takes prompts: one needs the role prefill or mixed"));
}

/// A limit on a batch is told only where it is that of all pools.
TEST(Pools, OneLimitOfAllOrNone) {
  const auto limit = [](const char* second) {
    Value v = pools(R"({"name": "a"})", R"({"name": "b", "policy": {"batching": {"name": "vllm", "max_running": )" +
                                            std::string(second) + "}}}");
    return assembled(std::move(v)).deployment.facts.batch_limit;
  };
  EXPECT_EQ(limit("256"), 256);
  EXPECT_EQ(limit("4"), 0);
}

TEST(Pools, ALinkIsNamedOnce) {
  Value v = pools(kPrefill, kDecode);
  v["cluster"]["links"] = parse_json(R"([{"from": "p", "to": "d"}, {"from": "d", "to": "p"}, {"from": "p", "to": "d"}])");
  EXPECT_THAT(errors_of(v), ElementsAre("/cluster/links/2: joins the same pools as /cluster/links/0"));
}

TEST(Pools, DifferentRolesNeedAPolicy) {
  Value v = pools(kPrefill, kDecode);
  v["policy"] = parse_json(R"({"batching": "vllm"})");
  EXPECT_THAT(errors_of(v), ElementsAre("/policy/cluster: missing key: with pools of different roles, a policy says "
                                        "which serves a request"));
}

/// Devices of two kinds behind one router: each instance gets calls, in turn.
TEST(Pools, ARouterSpreadsCallsOverMixedPools) {
  Value v = pools(R"({"name": "a", "replicas": 2})", R"({"name": "b", "replicas": 1, "tp": 2})");
  v["policy"] = parse_json(R"({"batching": "vllm", "router": "round-robin"})");
  const Assembly a = assembled(v);
  struct Stations final : RowSink {
    void row(const Row& r) override { ++calls[r.station.index]; }
    std::map<std::int32_t, int> calls;
  } rows;
  Watch watch;
  watch.rows = &rows;
  replicate(a, 1, watch);
  EXPECT_THAT(rows.calls, ElementsAre(std::pair{0, 7}, std::pair{1, 7}, std::pair{2, 6}));
}

TEST(Pools, LinksNamePools) {
  Value v = pools(kPrefill, kDecode);
  v["cluster"]["links"] = parse_json(R"([{"from": "p", "to": "dd"}, {"from": "q", "to": "d"}])");
  EXPECT_THAT(errors_of(v), ElementsAre("/cluster/links/0/to: unknown pool \"dd\"; did you mean \"d\"?",
                                        ::testing::StartsWith("/cluster/links/1/from: unknown pool \"q\"")));
}

TEST(Pools, WhatIsWrongForAllIsToldOnce) {
  Value v = pools(kPrefill, kDecode);
  v["policy"]["batching"] = "vlm";
  EXPECT_THAT(errors_of(v), ElementsAre("/policy/batching: unknown batching \"vlm\"; did you mean \"vllm\"?"));
  v = pools(kPrefill, kDecode);
  v["hardware"] = "a100-80";
  EXPECT_THAT(errors_of(v), ElementsAre("/hardware: unknown hardware \"a100-80\"; did you mean \"a100-80g\"?"));
}

TEST(Pools, WhatAPoolSaysIsToldThere) {
  EXPECT_THAT(errors_of(pools(kPrefill, R"({"name": "d", "role": "decode", "policy": {"batching": "vlm"}})")),
              ElementsAre("/cluster/pools/1/policy/batching: unknown batching \"vlm\"; did you mean \"vllm\"?"));
  EXPECT_THAT(errors_of(pools(kPrefill, R"({"name": "d", "role": "decode", "hardware": "a100-80"})")),
              ElementsAre("/cluster/pools/1/hardware: unknown hardware \"a100-80\"; did you mean \"a100-80g\"?"));
}

/// The V100's data sheet names no network.
TEST(Pools, KvNeedsAWay) {
  const std::string p = R"({"name": "p", "role": "prefill", "hardware": "v100-32g", "tp": 2)";
  const std::string d = R"({"name": "d", "role": "decode", "hardware": "v100-32g", "tp": 2})";
  EXPECT_THAT(
      errors_of(pools(p + "}", d)),
      ElementsAre(
          "/cluster/links: KV goes from \"p\" to \"d\" and no network is known: name a link, or /cluster/pools/0/network"));
  EXPECT_THAT(errors_of(pools(p + R"(, "network": "12GB/s"})", d)), ElementsAre());
  Value v = pools(p + "}", d);
  v["cluster"]["links"] = parse_json(R"([{"from": "p", "to": "d", "bandwidth": "12GB/s"}])");
  EXPECT_THAT(errors_of(v), ElementsAre());
}

/// 20 blocks are 320 tokens, and a prompt has 500.
TEST(Pools, APromptThatItsPoolCannotHoldIsRejected) {
  Value v = pools(kPrefill, kDecode);
  v["engine"]["kv_blocks"] = 20;
  Statuses rows;
  Watch watch;
  watch.rows = &rows;
  replicate(assembled(v), 1, watch);
  EXPECT_EQ(rows.all, std::vector<Status>(20, Status::kRejected));
}

}  // namespace
}  // namespace orrery
