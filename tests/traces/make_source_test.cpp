/// The workload block: what it resolves to, and that its requests are the same bits everywhere.
#include "traces/make_source.hpp"

#include <cmath>

#include <gmock/gmock.h>

#include "tests/traces/support.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;

ResolvedInfo resolve(const std::string& workload, const SearchPath& path = {}) {
  ResolvedInfo info;
  make_source(parse_json(workload), 1, path, info);
  return info;
}

TEST(Workload, TheShortFormResolves) {
  const ResolvedInfo info = resolve(
      R"({"arrival": {"process": "poisson", "rate": "12/s"}, "lengths": "azure-conv-2023", "requests": 20000})");
  EXPECT_EQ(info.summary, "azure-conv-2023, poisson 12/s, 20000 requests");
  EXPECT_EQ(info.requests, 20'000);
  EXPECT_EQ(info.rate, 12);
  EXPECT_NEAR(info.mean_prompt, 1155, 3);
  EXPECT_NEAR(info.mean_output, 211, 1);
  EXPECT_EQ(info.longest_prompt, 14'050);
  EXPECT_TRUE(info.random);
  EXPECT_TRUE(info.inputs.empty());
}

TEST(Workload, DefaultsAreWrittenOut) {
  const ResolvedInfo info = resolve(R"({"lengths": "azure-code-2023"})");
  EXPECT_EQ(info.requests, 10'000);
  EXPECT_EQ(info.workload.at("requests").as_int(), 10'000);
  EXPECT_EQ(info.workload.at("arrival").at("process").as_string(), "gamma");   // the source's burstiness
  EXPECT_NEAR(info.rate, 8818 / 3435.948, 1e-3);
  EXPECT_GT(info.workload.at("arrival").at("cv").as_double(), 1);
}

TEST(Workload, SaysWhetherPromptsHaveAnythingInCommon) {
  const auto shares = [](const std::string& rest, const SearchPath& path = {}) {
    return resolve("{" + rest + "}", path).shares_prefixes;
  };
  EXPECT_FALSE(shares(R"("lengths": "azure-code-2023")"));
  EXPECT_TRUE(shares(R"("lengths": "mooncake-conversation")"));
  const std::string drawn = R"("arrival": {"rate": 1}, "lengths": {"prompt": 9, "output": 9})";
  EXPECT_FALSE(shares(drawn));
  EXPECT_TRUE(shares(drawn + R"(, "sessions": {"turns": 2, "think": 1})"));
  EXPECT_TRUE(shares(drawn + R"(, "prefixes": [{"tokens": 5, "share": 1}])"));
  Folder folder;
  const SearchPath path{{folder.path()}};
  folder.write("plain.csv", "arrival_s,prompt_tokens,output_tokens\n0,9,1\n");
  folder.write("turns.csv", "arrival_s,prompt_tokens,output_tokens,session\n0,9,1,1\n");
  folder.write("named.csv", "arrival_s,prompt_tokens,output_tokens,prefix_id,prefix_tokens\n0,9,1,a,5\n");
  folder.write("ids.jsonl", R"({"timestamp": 0, "input_length": 9, "output_length": 1, "hash_ids": [1]})" "\n");
  EXPECT_FALSE(shares(R"("trace": "plain.csv")", path));
  for (const char* file : {"turns.csv", "named.csv", "ids.jsonl"})
    EXPECT_TRUE(shares("\"trace\": \"" + std::string(file) + "\"", path)) << file;
}

TEST(Workload, WhatItResolvesToResolvesToItself) {
  for (
      const char* text :
      {R"({"lengths": "mooncake-conversation"})",
       R"({"arrival": {"process": "closed", "users": 3}, "lengths": {"prompt": 1, "output": 1}})",
       R"({"arrival": {"process": "onoff", "rate": 2, "on": "5s", "off": "exponential:1min"},
           "lengths": {"prompt": "normal:90,9", "output": 1}})"}) {
    const ResolvedInfo once = resolve(text), twice = resolve(to_json(once.workload));
    EXPECT_EQ(to_json(once.workload), to_json(twice.workload));
    EXPECT_EQ(once.summary, twice.summary);
  }
}

TEST(Workload, ATraceResolvesToItsFacts) {
  Folder folder;
  const std::string file =
      folder.write("t.csv", "arrival_s,prompt_tokens,output_tokens,tenant\n0,10,1,web\n4,30,3,batch\n");
  const ResolvedInfo info = resolve(R"({"trace": "t.csv"})", SearchPath{{"/nowhere", folder.path()}});
  EXPECT_EQ(info.requests, 2);
  EXPECT_EQ(info.mean_prompt, 20);
  EXPECT_EQ(info.longest_total, 33);
  EXPECT_EQ(info.rate, 0.5);
  EXPECT_FALSE(info.random);
  EXPECT_THAT(info.tenants, ElementsAre("", "web", "batch"));
  ASSERT_EQ(info.inputs.size(), 1u);
  EXPECT_EQ(info.inputs[0].path, file);
  EXPECT_EQ(info.inputs[0].format, "plain");
  EXPECT_EQ(info.inputs[0].rows, 2);
}

TEST(Workload, LengthPairsOfATraceStayPairs) {
  Folder folder;
  folder.write("l.csv", "num_prefill_tokens,num_decode_tokens\n100,1\n200,2\n300,3\n");
  int counts[4] = {};
  for (const Popped& p : requests_of(R"({"arrival": {"rate": 1}, "lengths": {"trace": "l.csv"}, "requests": 30000})",
                                     SearchPath{{folder.path()}})) {
    ASSERT_EQ(p.request.prompt_tokens.value(), p.request.output_tokens.value() * 100);
    ++counts[p.request.output_tokens.value()];
  }
  for (int k = 1; k <= 3; ++k) EXPECT_NEAR(counts[k], 10'000, 5 * std::sqrt(30'000 * 2.0 / 9));
}

TEST(Workload, MaxTokensCutsAndMaxTotalClips) {
  for (const Popped& p : requests_of(R"({"arrival": {"rate": 1}, "requests": 5000,
         "lengths": {"prompt": "lognormal:1155,1.1", "output": "exponential:400", "max_tokens": 512,
             "max_total": 2048}})")) {
    EXPECT_LE(p.request.output_tokens.value(), 512);
    EXPECT_LE(p.request.max_tokens.value(), 512);
    EXPECT_LE(p.request.prompt_tokens.value() + p.request.max_tokens.value(), 2048);
  }
}

TEST(Workload, ChangingTheOutputsLeavesThePromptsAlone) {
  const auto a = requests_of(
      R"({"arrival": {"rate": 1}, "requests": 500, "lengths": {"prompt": "gamma:900,2", "output": "gamma:10,1"}})");
  const auto b = requests_of(
      R"({"arrival": {"rate": 3}, "requests": 500, "lengths": {"prompt": "gamma:900,2", "output": "lognormal:90,1"}})");
  for (std::size_t i = 0; i < 500; ++i) EXPECT_EQ(a[i].request.prompt_tokens, b[i].request.prompt_tokens);
}

TEST(Workload, PrefixesAddToDrawnPrompts) {
  int with = 0;
  for (const Popped& p :
       requests_of(R"({"arrival": {"rate": 1}, "requests": 10000, "lengths": {"prompt": 50, "output": 5},
                                         "prefixes": [{"tokens": 1800, "share": 0.6}]})")) {
    with += !p.segments.empty();
    EXPECT_EQ(p.request.prompt_tokens.value(), p.segments.empty() ? 50 : 1850);
  }
  EXPECT_NEAR(with, 6000, 4.5 * std::sqrt(2400.0));
}

TEST(Workload, AProfileOfRatesIsFollowed) {
  Folder folder;
  folder.write("rates.csv", "t_s,rate\n0,10\n100,0\n200,10\n");
  for (
      const Popped& p : requests_of(
          R"({"arrival": {"process": "profile", "profile": "rates.csv"}, "requests": 2000, "lengths": {"prompt": 1,
              "output": 1}})",
          SearchPath{{folder.path()}})) {
    const double t = to_seconds(p.request.arrival);
    EXPECT_TRUE(t <= 100 || t >= 200) << t;
  }
}

/// One number over the requests of every kind of workload: equal on every compiler, flag and processor, or fingerprints
/// of runs would not be.
TEST(Workload, TheSameBitsEverywhere) {
  std::uint64_t hash = 0;
  for (
      const char* text :
      {R"({"lengths": "mooncake-conversation", "requests": 2000})",
       R"({"arrival": {"process": "gamma", "rate": 5, "cv": 3}, "lengths": {"name": "azure-conv-2023",
           "max_total": 4096}, "requests": 2000})",
       R"({"arrival": {"process": "onoff", "rate": 5, "on": "exponential:5s", "off": "lognormal:9s,1"},
           "requests": 2000,
               "lengths": {"prompt": "lognormal:1155,1.1", "output": "geometric:40", "max_tokens": "normal:90,20"}})",
       R"({"arrival": {"rate": 5}, "requests": 2000, "lengths": {"prompt": "zipf:1.1,1..900", "output": "gamma:60,0.7"},
               "sessions": {"turns": "geometric:3", "think": "exponential:4s"}, "prefixes": [{"tokens": 99,
                   "share": 0.5}]})"}) {
    for (const Popped& p : requests_of(text, {}, 7, 1s)) {
      for (std::int64_t x : {to_ps(p.request.arrival), std::int64_t{p.request.prompt_tokens.value()},
                             std::int64_t{p.request.output_tokens.value()}, std::int64_t{p.request.max_tokens.value()},
                             static_cast<std::int64_t>(p.request.output_key)}) {
        hash = hash_combine(hash, static_cast<std::uint64_t>(x));
      }
      for (const Segment& s : p.segments)
        hash = hash_combine(hash, s.key + static_cast<std::uint64_t>(s.tokens.value()));
    }
  }
  EXPECT_EQ(hash, 16533784209407276358ull);
}

}  // namespace
}  // namespace orrery
