/// A plan whose one chunk is all that a budget leaves is not made again as long as nothing happens (Repeat::chunk).
#include <gtest/gtest.h>

#include <vector>

#include "policies/batching/sarathi.hpp"
#include "policies/kv/paged.hpp"
#include "sim/engine/simulation.hpp"

namespace orrery {
namespace {

class TenMs final : public CostModel {
 public:
  StepRun price(std::span<const StepShape>, int) const override { return {.first = 10ms, .e_first = {}, .e_step = {}}; }
};

class Asked final : public Batcher {
 public:
  void plan(const StationView& s, BatchPlan& plan) const override {
    ++times;
    sarathi_.plan(s, plan);
  }
  mutable int times = 0;

 private:
  Sarathi sarathi_{{.token_budget = 100_tok}};
};

/// Prompts of 1000 tokens, one output token each, at the given times.
class Prompts final : public RequestSource {
 public:
  explicit Prompts(std::vector<Time> at) : at_(std::move(at)) {}
  Time peek() const override { return next_ < at_.size() ? at_[next_] : kNever; }
  void pop(Request& out) override {
    out.number = next_;
    out.arrival = at_[next_++];
    out.prompt_tokens = Tokens32{1000};
    out.output_tokens = out.max_tokens = Tokens32{1};
  }

 private:
  std::vector<Time> at_;
  std::size_t next_ = 0;
};

struct Ran {
  int plans;
  Outcome out;
};

Ran run(std::vector<Time> arrivals, bool fast_forward) {
  TenMs cost;
  ModelExecutor executor(cost);
  Asked batcher;
  Paged kv(PagedConfig{});
  Prompts source(std::move(arrivals));
  Recorder recorder({.blocks = Blocks{1000}});
  SimulationParts parts;
  parts.stations = {{.batcher = &batcher, .kv_policy = &kv, .order = nullptr, .executor = &executor, .cost = &cost,
                     .kv = {.total = Blocks{1000}}, .kv_bytes_per_token = {}}};
  parts.source = &source;
  parts.recorder = &recorder;
  parts.fast_forward = fast_forward;
  Outcome out = Simulation(std::move(parts)).run();
  return {batcher.times, std::move(out)};
}

TEST(SameAgain, OnePlanForAWholePromptAndOneForTheEnd) {
  const Ran quick = run({Time{}}, true), slow = run({Time{}}, false);
  EXPECT_EQ(slow.plans, 11) << "ten chunks, and nothing more to do";
  EXPECT_EQ(quick.plans, 2);
  EXPECT_EQ(quick.out.iterations, 10);
  EXPECT_EQ(quick.out.fingerprint, slow.out.fingerprint);
}

TEST(SameAgain, AnArrivalIsAskedAbout) {
  const Ran quick = run({Time{}, Time{35ms}}, true), slow = run({Time{}, Time{35ms}}, false);
  EXPECT_EQ(quick.plans, 4) << "the first prompt, again after the arrival, the second prompt, the end";
  EXPECT_EQ(quick.out.fingerprint, slow.out.fingerprint);
}

}  // namespace
}  // namespace orrery
