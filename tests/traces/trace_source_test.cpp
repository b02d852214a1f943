/// A trace with window, scale, new arrival times, limits and sessions.
#include "traces/trace_source.hpp"

#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include "tests/traces/support.hpp"

namespace orrery {
namespace {

/// One request a second for `n` seconds, prompts 1, 2, 3, ...
std::string steady(int n) {
  std::string text = "arrival_s,prompt_tokens,output_tokens\n";
  for (int i = 0; i < n; ++i) text += std::to_string(i) + "," + std::to_string(i + 1) + ",10\n";
  return text;
}

class TraceWorkload : public testing::Test {
 protected:
  std::vector<Popped> run(const std::string& rest, std::uint64_t seed = 1, Duration service = Duration{}) {
    return requests_of("{\"trace\": \"t.csv\"" + rest + "}", SearchPath{{folder_.path()}}, seed, service);
  }
  Folder folder_;
};

TEST_F(TraceWorkload, ComesAsItIs) {
  folder_.write("t.csv", "arrival_s,prompt_tokens,output_tokens,max_tokens,deadline_s\n1.5,10,20,,\n1.5,11,21,64,2\n");
  const auto all = run("");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].request.arrival, Time{} + 1500ms);
  EXPECT_EQ(all[0].request.max_tokens.value(), 20);
  EXPECT_EQ(all[0].request.deadline, kNever);
  EXPECT_EQ(all[1].request.max_tokens.value(), 64);
  EXPECT_EQ(all[1].request.deadline, Time{} + 3500ms);
}

TEST_F(TraceWorkload, AWindowIsHalfOpenAndStartsAtZero) {
  folder_.write("t.csv", steady(100));
  for (const char* window : {"\"10..20\"", "\"10s..20s\"", "\"00:00:10..00:00:20\""}) {
    const auto all = run(std::string(", \"window\": ") + window);
    ASSERT_EQ(all.size(), 10u) << window;
    EXPECT_EQ(all[0].request.arrival, Time{});
    EXPECT_EQ(all[0].request.prompt_tokens.value(), 11);
    EXPECT_EQ(all[9].request.prompt_tokens.value(), 20);
  }
}

TEST_F(TraceWorkload, AClockWindowReadsTheDatesOfTheTrace) {
  folder_.write("t.csv",
                "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:58:00,1,1\n2023-11-16 23:59:30,2,1\n2023-11-17 "
                "00:00:30,3,1\n"
                "2023-11-17 00:02:00,4,1\n2023-11-17 10:00:00,5,1\n");
  const auto night = run(", \"window\": \"23:59..00:01\"");
  ASSERT_EQ(night.size(), 2u);
  EXPECT_EQ(night[0].request.arrival, Time{} + 30s);
  EXPECT_EQ(night[1].request.arrival, Time{} + 90s);
  const auto next_day = run(", \"window\": \"09:00..11:00\"");
  ASSERT_EQ(next_day.size(), 1u);
  EXPECT_EQ(next_day[0].request.arrival, Time{} + 1h);
}

TEST_F(TraceWorkload, SpeedupDividesTheTimes) {
  folder_.write("t.csv", steady(11));
  const auto all = run(", \"scale\": {\"factor\": 4, \"method\": \"speedup\"}");
  ASSERT_EQ(all.size(), 11u);
  EXPECT_EQ(all[10].request.arrival, Time{} + 2500ms);
  EXPECT_EQ(all[1].request.arrival, Time{} + 250ms);
}

TEST_F(TraceWorkload, ResampleMultipliesRequestsAndKeepsTheDuration) {
  folder_.write("t.csv", steady(4000));
  const auto all = run(", \"scale\": {\"factor\": 2.5}");
  EXPECT_NEAR(static_cast<double>(all.size()), 10'000, 4.5 * std::sqrt(4000 * 0.25));
  EXPECT_LT(all.back().request.arrival, Time{} + 3999s + kResampleSpread);
  std::map<int, int> copies;
  for (const Popped& p : all) {
    ++copies[p.request.prompt_tokens.value()];
    const Duration moved = p.request.arrival - (Time{} + std::chrono::seconds{p.request.prompt_tokens.value() - 1});
    EXPECT_GE(moved, Duration{});
    EXPECT_LT(moved, kResampleSpread);
  }
  EXPECT_EQ(copies.size(), 4000u);
  for (const auto& [prompt, n] : copies) EXPECT_TRUE(n == 2 || n == 3);
}

TEST_F(TraceWorkload, ThinKeepsAShare) {
  folder_.write("t.csv", steady(10'000));
  const auto all = run(", \"scale\": {\"factor\": 0.3, \"method\": \"thin\"}");
  EXPECT_NEAR(static_cast<double>(all.size()), 3000, 4.5 * std::sqrt(10'000 * 0.21));
  for (const Popped& p : all)
    EXPECT_EQ(p.request.arrival, Time{} + std::chrono::seconds{p.request.prompt_tokens.value() - 1});
}

/// Copies are other users: blocks of a copy are not shared with the original, but with the same copy of other requests.
TEST_F(TraceWorkload, ResampledBlocksStayWithTheirCopy) {
  Folder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "{\"timestamp\": " + std::to_string(i) +
            "000, \"input_length\": 1024, \"output_length\": 1, \"hash_ids\": [0, " + std::to_string(i / 2 + 1) +
            "]}\n";
  }
  folder.write("m.jsonl", text);
  const SearchPath path{{folder.path()}};
  const double once = hit_ratio(requests_of("{\"trace\": \"m.jsonl\"}", path));
  const double thrice = hit_ratio(requests_of("{\"trace\": \"m.jsonl\", \"scale\": {\"factor\": 3}}", path));
  EXPECT_DOUBLE_EQ(once, (999 + 500) / 2000.0);
  EXPECT_NEAR(thrice, once, 0.002);
}

TEST_F(TraceWorkload, SessionsAreKeptWholeWhenThinned) {
  std::string text = "arrival_s,prompt_tokens,output_tokens,session\n";
  for (int i = 0; i < 4000; ++i) text += std::to_string(i) + ",10,10," + std::to_string(i / 4) + "\n";
  folder_.write("t.csv", text);
  std::map<std::uint32_t, int> turns;
  const auto all = run(", \"scale\": {\"factor\": 0.5, \"method\": \"thin\"}");
  for (const Popped& p : all) ++turns[p.request.session];
  for (const auto& [session, n] : turns) EXPECT_EQ(n, 4);
  EXPECT_NEAR(static_cast<double>(turns.size()), 500, 4.5 * std::sqrt(250.0));
}

TEST_F(TraceWorkload, NewArrivalsKeepLengthsAndOrderAndGoRound) {
  folder_.write("t.csv", steady(5));
  const auto all = run(", \"arrival\": {\"process\": \"constant\", \"rate\": \"10/s\"}, \"requests\": 12");
  ASSERT_EQ(all.size(), 12u);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)].request.prompt_tokens.value(), i % 5 + 1);
    EXPECT_EQ(all[static_cast<std::size_t>(i)].request.arrival, Time{} + 100ms * (i + 1));
  }
  EXPECT_EQ(run(", \"arrival\": {\"rate\": 1}").size(), 5u);
}

TEST_F(TraceWorkload, RequestsCutTheTrace) {
  folder_.write("t.csv", steady(50));
  EXPECT_EQ(run(", \"requests\": 7").size(), 7u);
}

TEST_F(TraceWorkload, LimitsCutOutputFirst) {
  folder_.write("t.csv", "arrival_s,prompt_tokens,output_tokens\n0,90,30\n0,500,30\n0,10,30\n");
  const auto all = run(", \"lengths\": {\"max_total\": 100, \"max_tokens\": 25}");
  const auto lengths = [&](std::size_t i) {
    return std::pair(all[i].request.prompt_tokens.value(), all[i].request.output_tokens.value());
  };
  EXPECT_EQ(lengths(0), std::pair(90, 10));
  EXPECT_EQ(lengths(1), std::pair(99, 1));
  EXPECT_EQ(lengths(2), std::pair(10, 25));
  EXPECT_EQ(all[2].request.max_tokens.value(), 25);
}

TEST_F(TraceWorkload, DeclaredPrefixesArePartOfThePrompt) {
  folder_.write("t.csv", steady(2000));
  int with = 0;
  for (const Popped& p : run(", \"prefixes\": [{\"tokens\": 1000, \"share\": 0.5}]")) {
    EXPECT_TRUE(p.segments.empty() || p.request.prompt_tokens.value() >= 1000);
    with += !p.segments.empty();
  }
  EXPECT_NEAR(with, 500, 4.5 * std::sqrt(250.0));   // half of the 1001 prompts that can hold it
}

TEST_F(TraceWorkload, TurnsOfASessionExtendEachOther) {
  folder_.write("t.csv", "arrival_s,prompt_tokens,output_tokens,session,prefix_id,prefix_tokens\n"
                         "0,100,20,a,sys,60\n1,150,30,a,sys,60\n2,40,10,a,,\n3,70,5,a,,\n");
  const auto all = run("");
  const auto tokens = [&](std::size_t i) {
    std::vector<int> out;
    for (const Segment& s : all[i].segments) out.push_back(s.tokens.value());
    return out;
  };
  EXPECT_THAT(tokens(0), testing::ElementsAre(60, 40));
  EXPECT_THAT(tokens(1), testing::ElementsAre(60, 40, 20, 30));   // prefix, ask, answer, ask
  EXPECT_EQ(all[1].segments[2].key, all[0].request.output_key);
  EXPECT_THAT(tokens(2), testing::ElementsAre(40));               // shorter than the history: a fresh start
  EXPECT_NE(all[2].segments[0].key, all[0].segments[0].key);
  EXPECT_THAT(tokens(3), testing::ElementsAre(40, 10, 20));
  EXPECT_EQ(all[3].request.turn, 3u);
}

TEST_F(TraceWorkload, ClosedSessionsWaitForTheirAnswers) {
  folder_.write("t.csv", "arrival_s,prompt_tokens,output_tokens,session,think_s\n"
                         "0,100,20,a,\n1,10,1,,\n2,150,30,a,4\n3,60,5,b,\n4,300,5,a,0.5\n");
  const auto all = run(", \"sessions\": \"closed\"", 1, 10s);
  ASSERT_EQ(all.size(), 5u);
  std::vector<double> times;
  for (const Popped& p : all) times.push_back(to_seconds(p.request.arrival));
  EXPECT_THAT(times, testing::ElementsAre(0, 1, 3, 14, 24.5));   // 0 + 10 + 4, 14 + 10 + 0.5
  EXPECT_EQ(all[3].request.turn, 1u);
  EXPECT_EQ(all[3].segments.size(), 3u);
  EXPECT_EQ(all[3].segments[1].key, all[0].request.output_key);
  EXPECT_EQ(all[4].request.output_key, 0u);
  EXPECT_TRUE(all[1].segments.empty());
}

TEST_F(TraceWorkload, SameSeedSameRequestsOtherSeedOthers) {
  folder_.write("t.csv", steady(1000));
  const auto sum = [&](std::uint64_t seed) {
    std::uint64_t hash = 0;
    for (const Popped& p : run(", \"scale\": {\"factor\": 1.5}", seed)) {
      hash = hash_combine(hash, static_cast<std::uint64_t>(to_ps(p.request.arrival)));
      hash = hash_combine(hash, static_cast<std::uint64_t>(p.request.prompt_tokens.value()));
    }
    return hash;
  };
  EXPECT_EQ(sum(1), sum(1));
  EXPECT_NE(sum(1), sum(2));
}

}  // namespace
}  // namespace orrery
