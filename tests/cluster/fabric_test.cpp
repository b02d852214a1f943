#include "sim/engine/fabric.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "sim/base/rng.hpp"

namespace orrery {
namespace {

constexpr std::int64_t kGB = 1'000'000'000;

Time at(Duration d) { return Time{} + d; }

TEST(Fabric, OneTransferTakesItsBytesOverTheBandwidth) {
  Fabric f;
  const std::array links{f.add_link(10 * kGB)};
  f.start(at(1s), Bytes{5 * kGB}, links, 7);
  ASSERT_EQ(f.next(), at(1500ms));
  EXPECT_EQ(f.pop(f.next()), 7u);
  EXPECT_EQ(f.next(), kNever);
  EXPECT_TRUE(f.idle());
}

/// Two share the link from the start of the second on: 5 GB alone, then 2.5 GB each at half the speed, then the rest.
TEST(Fabric, TransfersShareALinkFairly) {
  Fabric f;
  const std::array links{f.add_link(10 * kGB)};
  f.start(at(0s), Bytes{10 * kGB}, links, 1);
  f.start(at(500ms), Bytes{10 * kGB}, links, 2);
  ASSERT_EQ(f.next(), at(1500ms));      // 5 GB left at 5 GB/s
  EXPECT_EQ(f.pop(f.next()), 1u);
  ASSERT_EQ(f.next(), at(2s));          // 5 GB left at 10 GB/s
  EXPECT_EQ(f.pop(f.next()), 2u);
}

/// Max-min: a is held to 1 GB/s by its own sender; b takes what a leaves of the shared receiver.
TEST(Fabric, WhatOneCannotUseGoesToTheOthers) {
  Fabric f;
  const LinkId slow = f.add_link(1 * kGB), fast = f.add_link(100 * kGB), in = f.add_link(10 * kGB);
  const std::array a{slow, in}, b{fast, in};
  const FlowId first = f.start(at(0s), Bytes{kGB}, a, 1), second = f.start(at(0s), Bytes{9 * kGB}, b, 2);
  EXPECT_EQ(f.rate(first), 1 * kGB);
  EXPECT_EQ(f.rate(second), 9 * kGB);
}

TEST(Fabric, NoLinkNoTime) {
  Fabric f;
  f.start(at(3s), Bytes{kGB}, {}, 1);
  EXPECT_EQ(f.next(), at(3s));
}

TEST(Fabric, ACancelledTransferGivesItsShareBack) {
  Fabric f;
  const std::array links{f.add_link(10 * kGB)};
  f.start(at(0s), Bytes{10 * kGB}, links, 1);
  const FlowId other = f.start(at(0s), Bytes{10 * kGB}, links, 2);
  f.cancel(other, at(1s));              // 5 GB each by then
  EXPECT_EQ(f.next(), at(1500ms));
}

TEST(Fabric, ALinkThatBecomesSlowerMovesTheEnd) {
  Fabric f;
  const std::array links{f.add_link(10 * kGB)};
  f.start(at(0s), Bytes{10 * kGB}, links, 1);
  f.set_bandwidth(links[0], 1 * kGB, at(500ms));
  EXPECT_EQ(f.next(), at(5500ms));
}

/// Random transfers over random links: every rate is positive, no link carries more than it can, each transfer has a
/// link that is full (the definition of max-min fairness needs it), and all bytes arrive.
TEST(Fabric, RandomTransfersFillBottlenecksAndNeverOverload) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed, Purpose::kFuzz, 0);
    Fabric f;
    std::vector<std::int64_t> capacity;
    for (int i = 0; i < 6; ++i) {
      capacity.push_back(static_cast<std::int64_t>(1 + rng.below(50)) * kGB);
      f.add_link(capacity.back());
    }
    struct Sent { FlowId flow; std::vector<LinkId> links; };
    std::vector<Sent> live(200, Sent{});
    Wide bytes = 0;
    Time now{};
    std::size_t started = 0, ended = 0;
    const auto check = [&] {
      std::vector<std::int64_t> used(6);
      for (const Sent& s : live)
        for (const LinkId l : s.links) used[static_cast<std::size_t>(l.index)] += f.rate(s.flow);
      for (std::size_t i = 0; i < 6; ++i) ASSERT_LE(used[i], capacity[i]);
      for (const Sent& s : live) {
        if (s.links.empty()) continue;
        ASSERT_GT(f.rate(s.flow), 0);
        const bool full = std::any_of(s.links.begin(), s.links.end(), [&](LinkId l) {
          return capacity[static_cast<std::size_t>(l.index)] - used[static_cast<std::size_t>(l.index)] <
                 200;  // rounding
        });
        ASSERT_TRUE(full);
      }
    };
    while (ended < live.size()) {
      const Time start =
          started < live.size() ? now + Duration{static_cast<std::int64_t>(rng.below(200'000'000'000))} : kNever;
      if (start < f.next()) {
        now = start;
        Sent& s = live[started];
        for (int i = 0; i < 6; ++i)
          if (s.links.size() < 3 && rng.below(3) == 0) s.links.push_back(LinkId{i});
        const Bytes size{static_cast<std::int64_t>(rng.below(20)) * kGB / 10};
        bytes += size.value();
        s.flow = f.start(now, size, s.links, started++);
        if (size == Bytes{}) s.links.clear();
      } else {
        ASSERT_GE(f.next(), now);
        now = f.next();
        live[f.pop(now)].links.clear();
        ++ended;
      }
      check();
    }
    EXPECT_TRUE(f.delivered() == bytes);
    EXPECT_TRUE(f.idle());
  }
}

}  // namespace
}  // namespace orrery
