/// The block bootstrap of a trace.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "experiments/resample.hpp"

namespace orrery {
namespace {

class Fixed final : public RequestSource {
 public:
  Fixed(std::vector<Request> list, const std::vector<Segment>* segments)
      : list_(std::move(list)), segments_(segments) {}
  Time peek() const override { return next_ < list_.size() ? list_[next_].arrival : kNever; }
  void pop(Request& out) override {
    out = list_[next_++];
    if (segments_ != nullptr) out.segments = *segments_;
  }
  bool wants_done() const override { return false; }

 private:
  std::vector<Request> list_;
  const std::vector<Segment>* segments_;
  std::size_t next_ = 0;
};

/// 3,200 requests, one a second, with lengths that name them; every 10th starts a session of three turns.
std::vector<Request> hour() {
  std::vector<Request> list(3200);
  for (std::size_t i = 0; i < list.size(); ++i) {
    list[i].number = i;
    list[i].arrival = Time{} + std::chrono::seconds{i};
    list[i].prompt_tokens = Tokens32{static_cast<std::int32_t>(i + 1)};
    if (i % 10 == 0 || i % 10 == 3 || i % 10 == 7) list[i].session = static_cast<std::uint32_t>(i / 10 + 1);
  }
  return list;
}

struct Drawn {
  Request request;
  std::vector<Segment> segments;
};

std::vector<Drawn> all(RequestSource& source) {
  std::vector<Drawn> out;
  while (source.peek() != kNever) {
    Request r;
    const Time at = source.peek();
    source.pop(r);
    EXPECT_EQ(r.arrival, at);
    out.push_back({r, {r.segments.begin(), r.segments.end()}});
  }
  return out;
}

std::vector<Drawn> resampled(std::uint64_t seed, const std::vector<Segment>* segments = nullptr) {
  Fixed source(hour(), segments);
  return all(*resample_source(source, seed));
}

TEST(Resample, IsSortedNumberedAndRepeatable) {
  const auto a = resampled(1), b = resampled(1), c = resampled(2);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].request.number, i);
    EXPECT_LE(a[i > 0 ? i - 1 : 0].request.arrival, a[i].request.arrival);
  }
  ASSERT_EQ(a.size(), b.size());
  bool same_as_c = a.size() == c.size();
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].request.prompt_tokens, b[i].request.prompt_tokens);
    same_as_c = same_as_c && a[i].request.prompt_tokens == c[i].request.prompt_tokens;
  }
  EXPECT_FALSE(same_as_c);
}

TEST(Resample, KeepsTheLoadAndDrawsSomeTwiceAndSomeNever) {
  double sum = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto a = resampled(seed);
    EXPECT_NEAR(static_cast<double>(a.size()), 3200, 64) << "one second a request, 32 stretches of 100 s";
    std::set<std::int32_t> distinct;
    for (const Drawn& d : a) distinct.insert(d.request.prompt_tokens.value());
    sum += static_cast<double>(distinct.size()) / 3200;
  }
  EXPECT_NEAR(sum / 20, 1 - std::exp(-1.0), 0.05) << "the share that a bootstrap of many draws leaves in";
}

TEST(Resample, SessionsStayWholeWithTheirOwnDistances) {
  std::map<std::uint32_t, std::vector<Request>> sessions;
  for (const Drawn& d : resampled(3)) {
    if (d.request.session != 0) sessions[d.request.session].push_back(d.request);
  }
  ASSERT_GT(sessions.size(), 100u);
  for (const auto& [id, turns] : sessions) {
    ASSERT_EQ(turns.size(), 3u) << "session " << id;
    EXPECT_EQ(turns[1].arrival - turns[0].arrival, 3s);
    EXPECT_EQ(turns[2].arrival - turns[0].arrival, 7s);
  }
}

TEST(Resample, ACopyDoesNotShareThePrefixesOfTheOriginal) {
  const std::vector<Segment> shared{{42, Tokens32{16}}};
  std::map<std::int32_t, std::set<std::uint64_t>> keys;  // by original request
  std::map<std::int32_t, int> times;
  for (const Drawn& d : resampled(4, &shared)) {
    ASSERT_EQ(d.segments.size(), 1u);
    keys[d.request.prompt_tokens.value()].insert(d.segments[0].key);
    ++times[d.request.prompt_tokens.value()];
  }
  bool some_twice = false;
  for (const auto& [request, n] : times) {
    EXPECT_EQ(keys[request].size(), static_cast<std::size_t>(n));
    EXPECT_EQ(keys[request].count(42), 1u) << "the first time it is drawn, it shares with all others drawn once";
    some_twice = some_twice || n > 1;
  }
  EXPECT_TRUE(some_twice);
}

TEST(Resample, TinyTracesAreKept) {
  Fixed none({}, nullptr);
  EXPECT_EQ(all(*resample_source(none, 1)).size(), 0u);
  Fixed one({Request{}}, nullptr);
  EXPECT_EQ(all(*resample_source(one, 1)).size(), 1u);
}

}  // namespace
}  // namespace orrery
