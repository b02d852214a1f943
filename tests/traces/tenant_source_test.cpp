/// Tenants of generated workloads: drawn by shares, or each with a stream of its own; every message.
#include "traces/tenant_source.hpp"

#include <gmock/gmock.h>

#include <array>
#include <map>

#include "tests/traces/support.hpp"
#include "traces/make_source.hpp"

namespace orrery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& workload) {
  return message_of([&] {
    ResolvedInfo info;
    make_source(parse_json(workload), 1, SearchPath{{"/nowhere"}}, info);
  });
}

struct Seen {
  ResolvedInfo info;
  std::vector<Request> requests;
};

Seen all_of(const std::string& workload) {
  Seen seen;
  const auto source = make_source(parse_json(workload), 1, {}, seen.info);
  for (Request r; source->peek() != kNever;) {
    source->pop(r);
    seen.requests.push_back(r);
  }
  return seen;
}

constexpr const char* kShared = R"({"tenants": [{"name": "a", "share": 3}, {"name": "b", "share": 1}],
  "arrival": {"process": "poisson", "rate": 10}, "lengths": {"prompt": 10, "output": 2}, "requests": 20000})";

TEST(Tenants, AreDrawnByTheirShares) {
  const Seen seen = all_of(kShared);
  EXPECT_THAT(seen.info.tenants, ElementsAre("", "a", "b"));
  std::map<int, int> count;
  for (const Request& r : seen.requests) ++count[r.tenant];
  EXPECT_EQ(count.size(), 2u);
  EXPECT_NEAR(count[1] / 20000.0, 0.75, 3 * 0.0031);   // 3 standard errors
}

TEST(Tenants, SharesChangeNothingElseOfTheRequests) {
  const Seen with = all_of(kShared);
  const Seen without = all_of(R"({"arrival": {"process": "poisson", "rate": 10}, "lengths": {"prompt": 10, "output": 2},
                                  "requests": 20000})");
  ASSERT_EQ(with.requests.size(), without.requests.size());
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(with.requests[i].arrival, without.requests[i].arrival);
}

TEST(Tenants, StreamsAreMergedByTime) {
  const Seen seen = all_of(R"({"tenants": [
    {"name": "slow", "arrival": {"process": "constant", "rate": 1}, "lengths": {"prompt": 10, "output": 2}},
    {"name": "fast", "arrival": {"process": "constant", "rate": 3}, "lengths": {"prompt": 20, "output": 4}}],
    "requests": 400})");
  ASSERT_EQ(seen.requests.size(), 400u);
  EXPECT_EQ(seen.info.rate, 4);
  EXPECT_EQ(seen.info.mean_prompt, (10 + 3 * 20) / 4.0);
  int fast = 0;
  for (std::size_t i = 0; i < seen.requests.size(); ++i) {
    const Request& r = seen.requests[i];
    EXPECT_EQ(r.number, i);
    if (i > 0) {
      EXPECT_GE(r.arrival, seen.requests[i - 1].arrival);
    }
    EXPECT_EQ(r.prompt_tokens.value(), r.tenant == 2 ? 20 : 10);
    fast += r.tenant == 2;
  }
  EXPECT_NEAR(fast, 300, 1);
}

TEST(Tenants, AClosedLoopOfATenantHearsOfItsOwnAnswers) {
  ResolvedInfo info;
  const auto source = make_source(parse_json(R"({"tenants": [
    {"name": "a", "arrival": {"process": "closed", "users": 1, "think": 5}, "lengths": {"prompt": 10, "output": 2}},
    {"name": "b", "arrival": {"process": "constant", "rate": 1}, "lengths": {"prompt": 10, "output": 2}}],
    "requests": 100})"), 1, {}, info);
  ASSERT_TRUE(source->wants_done());
  Request first;
  while (first.tenant != 1) source->pop(first);
  int again = 0;
  for (Request r; source->peek() < Time{20s};) source->pop(r), again += r.tenant == 1;
  EXPECT_EQ(again, 0) << "its user waits";
  source->on_done(first, Time{20s});
  for (Request r; source->peek() <= Time{26s};) source->pop(r), again += r.tenant == 1;
  EXPECT_EQ(again, 1);
}

TEST(Tenants, ErrorsNameTheirPlace) {
  EXPECT_THAT(error_of(R"({"tenants": {}, "lengths": "azure-conv-2023"})"), HasSubstr("expected an array like"));
  EXPECT_THAT(error_of(R"({"tenants": [{"share": 1}], "lengths": "azure-conv-2023"})"),
              HasSubstr("a tenant needs a name"));
  EXPECT_THAT(
      error_of(R"({"tenants": [{"name": "a", "share": 1}, {"name": "a", "share": 1}], "lengths": "azure-code"})"),
      HasSubstr("another tenant has this name"));
  EXPECT_THAT(error_of(R"({"tenants": [{"name": "a", "share": 0}], "lengths": "azure-conv-2023"})"),
              HasSubstr("more than 0 together"));
  EXPECT_THAT(error_of(R"({"tenants": [{"name": "a", "lengths": {"prompt": 1, "output": 1}}]})"),
              HasSubstr("/tenants/0/arrival: missing key"));
}

TEST(Models, AreDrawnByZipfAndChangeNothingElse) {
  const std::string rest =
      R"("arrival": {"process": "poisson", "rate": "1/s"}, "lengths": {"prompt": 5, "output": 5}, "requests": 6000})";
  const Seen seen = all_of(R"({"models": {"count": 4, "zipf": 1}, )" + rest), plain = all_of("{" + rest);
  EXPECT_THAT(seen.info.models, ElementsAre("", "m1", "m2", "m3", "m4"));
  std::array<double, 5> counts{};
  for (std::size_t i = 0; i < seen.requests.size(); ++i) {
    ++counts.at(seen.requests[i].model);
    EXPECT_EQ(seen.requests[i].arrival, plain.requests[i].arrival);
  }
  const double h4 = 1 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4;   // shares 12, 6, 4, 3 of 25
  EXPECT_EQ(counts[0], 0);
  for (std::size_t k = 1; k <= 4; ++k)
    EXPECT_NEAR(counts.at(k) / 6000, 1 / (h4 * static_cast<double>(k)), 0.02) << k;
}

TEST(Models, MessagesAreExact) {
  const std::string message = error_of(
      R"({"models": {"zipf": -1}, "arrival": {"process": "poisson", "rate": "1/s"}, "lengths": {"prompt": 5,
          "output": 5}})");
  EXPECT_THAT(message, HasSubstr("/models/count: missing key"));
  EXPECT_THAT(message, HasSubstr("/models/zipf: expected a number in [0, 10]"));
}

}  // namespace
}  // namespace orrery
