/// Orders that preempt, in the batchers that decode all that runs.
#include "policies/batching/steps.hpp"

#include <gtest/gtest.h>

#include "policies/batching/orca.hpp"
#include "policies/batching/s3.hpp"
#include "policies/batching/static_batching.hpp"
#include "policies/batching/vllm.hpp"
#include "policies/batching/vllm_v1.hpp"
#include "policies/order/fcfs.hpp"
#include "policies/order/mlfq.hpp"
#include "tests/policies/station_builder.hpp"

namespace orrery {
namespace {

/// Quanta 100, 200, ...; levels are 10 s apart, and the calls of a picture come a millisecond apart.
const Mlfq kMlfq({.quantum = 100_tok});

/// Calls 0 and 1 decode: 0 has used up its first quantum, 1 has not.
Picture busy() {
  Picture p;
  p.order(kMlfq).kv(1000);
  p.decoding(1, 169, {.max_tokens = 900, .emitted = 120});
  p.decoding(1, 79, {.max_tokens = 900, .emitted = 30});
  return p;
}

TEST(GiveWay, WhoHasSunkBelowTheHeadOfTheLineLosesItsPlace) {
  const Planned p = planned_by(Orca({.max_running = 2}), busy().waiting(50));
  EXPECT_EQ(p.left, (Departures{{0, Leave::kRecompute}}));
  EXPECT_EQ(p.decoding, 1);
  EXPECT_EQ(p.admitted, Calls{}) << "the place is free when the step has ended";
}

TEST(GiveWay, NobodyWhoComesBeforeTheHeadDoes) {
  EXPECT_EQ(planned_by(Orca({.max_running = 2}), busy().waiting(150)).left, Departures{});   // joins below: skip-join
}

TEST(GiveWay, NobodyWhileThereIsRoom) {
  const Planned p = planned_by(Orca({.max_running = 3}), busy().waiting(50));
  EXPECT_EQ(p.left, Departures{});
  EXPECT_EQ(p.admitted, Calls{2});
}

TEST(GiveWay, AnOrderThatDoesNotPreemptLeavesAllInPlace) {
  const Fcfs fcfs({});
  Picture p;
  p.order(fcfs).decoding(2, 169, {.max_tokens = 900, .emitted = 120}).waiting(50);
  EXPECT_EQ(planned_by(Orca({.max_running = 2}), p).left, Departures{});
}

TEST(GiveWay, MemoryIsRoomToo) {
  auto tight = [](std::int64_t blocks) { return busy().kv(blocks).waiting(50); };   // 11 and 5 are held, 4 wanted
  EXPECT_EQ(planned_by(VllmV1({}), tight(20)).left, Departures{});
  EXPECT_EQ(planned_by(VllmV1({}), tight(19)).left, (Departures{{0, Leave::kRecompute}}));
}

TEST(GiveWay, TheKvPolicySaysHow) {
  PagedConfig swap;
  swap.preempt = Leave::kSwap;
  EXPECT_EQ(planned_by(Orca({.max_running = 2}), busy().policy(swap).host(1000).waiting(50)).left,
            (Departures{{0, Leave::kSwap}}));
}

TEST(GiveWay, AsManyAsTheHeadNeedsLastInOrderFirst) {
  PagedConfig max_new;
  max_new.reserve = PagedConfig::Reserve::kMaxNew;
  auto picture = [&](std::int64_t blocks) {   // levels 1, 2 and 0, of 11, 22 and 4 blocks; 62 wanted at level 0
    Picture p;
    p.order(kMlfq).kv(blocks).policy(max_new);
    p.decoding(1, 169, {.emitted = 120}).decoding(1, 350, {.emitted = 310}).decoding(1, 60, {.emitted = 20});
    return p.waiting(90, {.max_tokens = 900});
  };
  EXPECT_EQ(planned_by(Orca({}), picture(37 + 62)).left, Departures{});
  EXPECT_EQ(planned_by(Orca({}), picture(15 + 62)).left, (Departures{{1, Leave::kRecompute}}));
  EXPECT_EQ(planned_by(Orca({}), picture(14 + 62)).left, (Departures{{1, Leave::kRecompute}, {0, Leave::kRecompute}}));
}

TEST(GiveWay, TheSwappedComeBackInTheOrderAndNotBeforeTheHead) {
  PagedConfig swap;
  swap.preempt = Leave::kSwap;
  auto picture = [&](std::int64_t prompt) {
    Picture p;
    p.order(kMlfq).policy(swap).host(1000);
    return p.swapped(169, {.max_tokens = 900, .emitted = 120}).waiting(prompt);   // call 0 at level 1, call 1
  };
  const Planned above = planned_by(Orca({.max_running = 1}), picture(50));
  EXPECT_EQ(above.admitted, Calls{1});
  EXPECT_EQ(above.resumed, Calls{});
  const Planned below = planned_by(Orca({.max_running = 1}), picture(150));
  EXPECT_EQ(below.resumed, Calls{0});
  EXPECT_EQ(below.admitted, Calls{});
  EXPECT_EQ(planned_by(Vllm({.max_running = 1}), picture(50)).admitted, Calls{1}) << "prompts first, the head too";
  EXPECT_EQ(planned_by(Vllm({.max_running = 1}), picture(150)).resumed, Calls{0});
}

TEST(GiveWay, ThePlanLastsUntilSomebodySinks) {
  EXPECT_EQ(planned_by(Orca({.max_running = 2}), busy().waiting(150)).repeat, 70) << "call 1: 30 of 100";
  EXPECT_EQ(planned_by(Orca({.max_running = 2}), busy()).repeat, kForever) << "nobody waits";
}

TEST(GiveWay, BatchersThatChooseByThemselvesKeepTheirBatch) {
  EXPECT_EQ(planned_by(StaticBatching({.max_running = 2}), busy().waiting(50)).left, Departures{});
  EXPECT_EQ(planned_by(S3({.max_running = 2}), busy().waiting(50)).left, Departures{});
}

}  // namespace
}  // namespace orrery
