/// A step in which a call does nothing but come back from host memory is a step, whatever its bytes cost.
#include <gtest/gtest.h>

#include "policies/kv/paged.hpp"
#include "sim/engine/simulation.hpp"
#include "sim/plan.hpp"

namespace orrery {
namespace {

class TenMs final : public CostModel {
 public:
  StepRun price(std::span<const StepShape>, int) const override { return {.first = 10ms, .e_first = {}, .e_step = {}}; }
};

class One final : public RequestSource {
 public:
  Time peek() const override { return taken_ ? kNever : Time{}; }
  void pop(Request& out) override {
    taken_ = true;
    out.prompt_tokens = Tokens32{16};
    out.output_tokens = out.max_tokens = Tokens32{3};
  }

 private:
  bool taken_ = false;
};

/// Swaps its call out once, brings it back without letting it decode in the same step, then goes on.
class ThereAndBack final : public Batcher {
 public:
  void plan(const StationView& s, BatchPlan& plan) const override {
    for (CallId id : s.waiting)
      if (plan.admit(id)) plan.prefill(id, Tokens::max());
    if (!s.swapped.empty()) plan.resume(s.swapped.front());
    else if (s.group.size == 1 && s.progress(s.group.members[0]).preemptions == 0)
      plan.preempt(s.group.members[0], Leave::kSwap);
    else plan.decode(s.group);
  }
};

struct Rows final : RowSink {
  Row last;
  void row(const Row& r) override { last = r; }
};

TEST(ResumeAlone, TakesAStepOfItsOwn) {
  TenMs cost;
  ModelExecutor executor(cost);
  ThereAndBack batcher;
  PagedConfig swaps;
  swaps.preempt = Leave::kSwap;
  Paged kv(swaps);
  One source;
  Rows rows;
  Recorder recorder({.blocks = Blocks{100}, .rows = &rows});
  SimulationParts parts;
  parts.stations = {{.batcher = &batcher, .kv_policy = &kv, .order = nullptr, .executor = &executor, .cost = &cost,
                     .kv = {.total = Blocks{100}, .host_tokens = Tokens{100}}, .kv_bytes_per_token = {}}};
  parts.source = &source;
  parts.recorder = &recorder;
  const Outcome out = Simulation(std::move(parts)).run();
  EXPECT_EQ(out.summary.broken, std::vector<std::string>{});
  EXPECT_EQ(rows.last.finish, Time{50ms}) << "prompt, out, back, and two tokens: five steps";
}

}  // namespace
}  // namespace orrery
