/// Clients that give up (cancel_after_s of a trace): where a call stands decides when it leaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "policies/batching/sarathi.hpp"
#include "policies/kv/paged.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {
namespace {

/// 10 ms an iteration, whatever is in it; a decode run is valid for ever.
class TenMs final : public CostModel {
 public:
  StepRun price(std::span<const StepShape>, int) const override {
    StepRun r;
    r.first = 10ms;
    r.valid = 1 << 20;
    return r;
  }
};

class Listed final : public RequestSource {
 public:
  explicit Listed(std::vector<Request> all) : all_(std::move(all)) {}
  Time peek() const override { return at_ < all_.size() ? all_[at_].arrival : kNever; }
  void pop(Request& out) override { out = all_[at_++]; }

 private:
  std::vector<Request> all_;
  std::size_t at_ = 0;
};

Request request(std::uint64_t number, Duration at, int prompt, int output, Duration cancel_after = Duration::max()) {
  Request r;
  r.number = number;
  r.arrival = Time{at};
  r.prompt_tokens = Tokens32{prompt};
  r.output_tokens = r.max_tokens = Tokens32{output};
  r.cancel_after = cancel_after;
  return r;
}

struct Rows final : RowSink {
  std::map<std::uint64_t, Row> by_number;
  void row(const Row& r) override { by_number[r.number] = r; }
};

Rows run(std::vector<Request> requests, int max_running, bool fast_forward) {
  TenMs cost;
  ModelExecutor executor(cost);
  SarathiConfig config;
  config.max_running = max_running;
  Sarathi batcher(config);
  Paged kv(PagedConfig{});
  Listed source(std::move(requests));
  Rows rows;
  Recorder recorder({.blocks = Blocks{1000}, .rows = &rows});
  SimulationParts parts;
  parts.stations = {{.batcher = &batcher, .kv_policy = &kv, .order = nullptr, .executor = &executor, .cost = &cost,
                     .kv = {.total = Blocks{1000}}, .kv_bytes_per_token = {}}};
  parts.source = &source;
  parts.recorder = &recorder;
  parts.fast_forward = fast_forward;
  const Outcome out = Simulation(std::move(parts)).run();
  EXPECT_EQ(out.summary.broken, std::vector<std::string>{});   // blocks, tokens and calls all accounted for
  return rows;
}

TEST(Cancel, ADecodingCallLeavesAtTheNextBoundaryEvenInTheMiddleOfALongRun) {
  for (bool fast : {true, false}) {
    Rows rows = run({request(0, 0ms, 100, 1000, 2345ms), request(1, 0ms, 100, 300)}, 8, fast);
    EXPECT_EQ(rows.by_number[0].status, Status::kCancelled);
    EXPECT_EQ(rows.by_number[0].finish, Time{2350ms});
    EXPECT_EQ(rows.by_number[0].output.value(), 235);   // one a boundary from 10 ms on
    EXPECT_EQ(rows.by_number[1].status, Status::kDone);
    EXPECT_EQ(rows.by_number[1].finish, Time{3000ms});
  }
}

TEST(Cancel, AWaitingCallLeavesAtOnceAndWasNeverScheduled) {
  Rows rows = run({request(0, 0ms, 100, 100), request(1, 0ms, 100, 100, 123ms)}, 1, true);
  EXPECT_EQ(rows.by_number[1].finish, Time{123ms});
  EXPECT_EQ(rows.by_number[1].first_schedule, kNever);
  EXPECT_EQ(rows.by_number[0].status, Status::kDone);
}

TEST(Cancel, AnAnswerThatCameInTimeIsKeptAndTheRunEndsWithIt) {
  Rows rows = run({request(0, 0ms, 100, 10, 10s)}, 1, true);
  EXPECT_EQ(rows.by_number[0].status, Status::kDone);
  EXPECT_EQ(rows.by_number[0].finish, Time{100ms});
}

TEST(Cancel, TokensOfTheSameInstantComeFirst) {
  Rows rows = run({request(0, 0ms, 100, 10, 100ms)}, 1, true);   // done at 100 ms
  EXPECT_EQ(rows.by_number[0].status, Status::kDone);
}

}  // namespace
}  // namespace orrery
