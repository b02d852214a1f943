/// Sessions and closed loops: histories as segments, think times, independence of the order of service.
#include "traces/session_source.hpp"

#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include "tests/traces/support.hpp"

namespace orrery {
namespace {

constexpr const char* kChat = R"({"arrival": {"process": "constant", "rate": 1}, "requests": 2000,
  "lengths": {"prompt": "uniform:50..150", "output": "uniform:10..30"}, "sessions": {"turns": "3", "think": "5s"}})";

TEST(Sessions, APromptIsTheHistoryPlusNewTokens) {
  std::map<std::uint32_t, std::vector<Popped>> sessions;
  for (const Popped& p : requests_of(kChat, {}, 1, 2s)) sessions[p.request.session].push_back(p);
  int whole = 0;
  for (const auto& [name, turns] : sessions) {
    EXPECT_NE(name, 0u);
    whole += turns.size() == 3;
    for (std::size_t k = 0; k < turns.size(); ++k) {
      const Request& r = turns[k].request;
      EXPECT_EQ(r.turn, k);
      EXPECT_EQ(turns[k].segments.size(), 2 * k + 1);
      std::int64_t sum = 0;
      for (const Segment& s : turns[k].segments) sum += s.tokens.value();
      EXPECT_EQ(sum, r.prompt_tokens.value());
      if (k == 0) continue;
      const Popped& before = turns[k - 1];
      for (std::size_t i = 0; i < before.segments.size(); ++i) {   // what a cache kept of the turn before
        EXPECT_EQ(turns[k].segments[i].key, before.segments[i].key);
        EXPECT_EQ(turns[k].segments[i].tokens, before.segments[i].tokens);
      }
      EXPECT_EQ(turns[k].segments[before.segments.size()].key, before.request.output_key);
      EXPECT_EQ(turns[k].segments[before.segments.size()].tokens, before.request.output_tokens);
      const std::int64_t fresh = turns[k].segments.back().tokens.value();
      EXPECT_GE(fresh, 50);
      EXPECT_LE(fresh, 150);
      EXPECT_EQ(r.arrival, before.request.arrival + 2s + 5s);   // service, then think
    }
    if (turns.size() == 3) {
      EXPECT_EQ(turns[2].request.output_key, 0u);               // nothing can extend the last turn
    }
  }
  EXPECT_GT(whole, 600);
}

TEST(Sessions, OpenOnesDoNotWaitForTheAnswer) {
  std::string text(kChat);
  text.replace(text.find("\"5s\""), 4, "\"5s\", \"mode\": \"open\"");
  std::map<std::uint32_t, Time> last;
  for (const Popped& p : requests_of(text, {}, 1, 1000s)) {
    if (p.request.turn > 0) {
      EXPECT_EQ(p.request.arrival, last.at(p.request.session) + 5s);
    }
    last[p.request.session] = p.request.arrival;
  }
}

/// The lengths of every turn are the same whether the system is fast or slow: common random numbers.
TEST(Sessions, LengthsDoNotDependOnTheOrderOfService) {
  const auto lengths = [](Duration service) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::pair<int, int>> out;
    for (const Popped& p : requests_of(R"({"arrival": {"rate": 2}, "requests": 3000, "lengths": "sharegpt-like",
             "sessions": {"turns": "geometric:4", "think": "lognormal:20s,1.2"}})", {}, 1, service)) {
      out[{p.request.session, p.request.turn}] = {p.request.prompt_tokens.value(), p.request.output_tokens.value()};
    }
    return out;
  };
  const auto fast = lengths(1ms), slow = lengths(60s);
  int common = 0;
  for (const auto& [turn, length] : fast) {
    const auto it = slow.find(turn);
    if (it == slow.end()) continue;
    ++common;
    EXPECT_EQ(it->second, length);
  }
  EXPECT_GT(common, 1500);
}

TEST(Sessions, TurnsFollowTheirDistribution) {
  std::map<std::uint32_t, int> turns;
  const auto all = requests_of(R"({"arrival": {"rate": 100}, "requests": 60000, "lengths": {"prompt": 10, "output": 5},
                                   "sessions": {"turns": "geometric:4", "think": 0}})");
  const std::uint32_t old = all.back().request.session - 500;   // begun early enough to have ended
  for (const Popped& p : all) if (p.request.session < old) ++turns[p.request.session];
  double sum = 0;
  for (const auto& [session, n] : turns) sum += n;
  EXPECT_NEAR(sum / static_cast<double>(turns.size()), 4, 4.5 * std::sqrt(12.0 / static_cast<double>(turns.size())));
}

TEST(Sessions, EndWhereTheContextEnds) {
  for (const Popped& p : requests_of(
           R"({"arrival": {"rate": 1}, "requests": 500, "lengths": {"prompt": 300, "output": 100, "max_total": 1500},
                                         "sessions": {"turns": 100, "think": "1s"}})")) {
    EXPECT_LE(p.request.prompt_tokens.value() + p.request.output_tokens.value(), 1500);
    EXPECT_LT(p.request.turn, 3u);   // 400, 800, 1200 tokens; a fourth turn would need 1600
  }
}

TEST(Sessions, ShareADeclaredPrefixAcrossSessions) {
  std::map<std::uint64_t, int> first;
  int sessions = 0;
  for (const Popped& p :
       requests_of(R"({"arrival": {"rate": 1}, "requests": 6000, "lengths": {"prompt": 30, "output": 10},
             "sessions": {"turns": 2, "think": "1s"}, "prefixes": [{"tokens": 700, "share": 0.6}, {"tokens": 90,
                 "share": 0.3}]})")) {
    if (p.request.turn > 0) continue;
    ++sessions;
    if (p.segments.size() == 2) {
      ++first[p.segments[0].key];
      EXPECT_EQ(p.request.prompt_tokens.value(), p.segments[0].tokens.value() + 30);
    }
  }
  ASSERT_EQ(first.size(), 2u);
  std::vector<int> counts{first.begin()->second, std::next(first.begin())->second};
  std::sort(counts.begin(), counts.end());
  EXPECT_NEAR(counts[1], 0.6 * sessions, 4.5 * std::sqrt(0.24 * sessions));
  EXPECT_NEAR(counts[0], 0.3 * sessions, 4.5 * std::sqrt(0.21 * sessions));
}

// ---- closed loops
// -----------------------------------------------------------------------------------------------------

/// N users that never think keep exactly N requests in the system: served in 1 s one after the other, N - 1 wait.
TEST(ClosedLoop, KeepsItsUsersBusy) {
  ResolvedInfo info;
  const auto source = make_source(
      parse_json(
          R"({"arrival": {"process": "closed", "users": 4}, "lengths": {"prompt": 8, "output": 2}, "requests": 100})"),
      1, {}, info);
  Time now{};
  std::vector<Request> inside;
  int popped = 0;
  while (source->peek() != kNever || !inside.empty()) {
    while (source->peek() <= now) {
      inside.emplace_back();
      source->pop(inside.back());
      EXPECT_EQ(inside.back().number, static_cast<std::uint64_t>(popped++));
      EXPECT_EQ(inside.back().arrival, now);
      EXPECT_EQ(inside.back().session, 0u);
    }
    EXPECT_EQ(inside.size(), static_cast<std::size_t>(std::min(4, 100 - popped + static_cast<int>(inside.size()))));
    now += 1s;
    source->on_done(inside.front(), now);
    inside.erase(inside.begin());
  }
  EXPECT_EQ(popped, 100);
  EXPECT_EQ(now, Time{} + 100s);
  EXPECT_EQ(info.rate, 0);
}

/// Interactive response time law: X = N / (S + Z) with service S = 1 s for each user alone and mean think time Z = 3 s.
TEST(ClosedLoop, ThroughputObeysTheResponseTimeLaw) {
  const auto all = requests_of(R"({"arrival": {"process": "closed", "users": 20, "think": "exponential:3s"},
                                   "lengths": {"prompt": 8, "output": 2}, "requests": 40000})", {}, 1, 1s);
  const double x = static_cast<double>(all.size()) / to_seconds(all.back().request.arrival);
  EXPECT_NEAR(x, 20 / 4.0, 0.1);
}

TEST(ClosedLoop, RunsWholeSessions) {
  std::map<std::uint32_t, int> turns;
  const auto all = requests_of(
      R"({"arrival": {"process": "closed", "users": 3, "think": "60s"}, "lengths": {"prompt": 8, "output": 2},
                                   "requests": 300, "sessions": {"turns": 5, "think": "1s"}})",
      {}, 1, 1s);
  for (const Popped& p : all) ++turns[p.request.session];
  EXPECT_EQ(turns.size(), 60u);
  for (const auto& [session, n] : turns) EXPECT_EQ(n, 5) << session;
  EXPECT_EQ(all.front().request.arrival, Time{} + 60s);   // users come after a first pause
}

TEST(ClosedLoop, AnotherSeedIsAnotherRun) {
  const char* text = R"({"arrival": {"process": "closed", "users": 3}, "lengths": "lmsys-chat", "requests": 30})";
  const auto a = requests_of(text, {}, 1), b = requests_of(text, {}, 1), c = requests_of(text, {}, 2);
  int same = 0;
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(a[i].request.prompt_tokens, b[i].request.prompt_tokens);
    same += a[i].request.prompt_tokens == c[i].request.prompt_tokens;
  }
  EXPECT_LT(same, 15);
}

}  // namespace
}  // namespace orrery
