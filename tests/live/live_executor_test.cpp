/// The real engine under the policies: its books are the ledger's at every step, its decisions those of the simulator,
/// and what it computes does not depend on how it was scheduled.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/differential/fuzz.hpp"
#include "tests/live/engines.hpp"

namespace orrery {
namespace {

/// Hands out recorded steps in order, one a price; for the twin, which prices each step once.
class LogCost final : public CostModel {
 public:
  explicit LogCost(const StepLog& log) : log_(&log) {}
  StepRun price(std::span<const StepShape>, int) const override { return log_->at(next_++).run; }

 private:
  const StepLog* log_;
  mutable std::size_t next_ = 0;
};

class LiveScenario : public testing::TestWithParam<Scenario> {};

TEST_P(LiveScenario, SimulatorAndTwinDecideTheSameWithTheMeasuredTimes) {
  const Scenario& s = GetParam();
  const LiveRun live(s, cpu_device());
  const EngineResult again = replayed(s, live.logs);
  EXPECT_EQ(again.outcome.decisions, live.result.outcome.decisions);
  EXPECT_EQ(again.outcome.fingerprint, live.result.outcome.fingerprint);
  EXPECT_EQ(difference(again.as_twin, live.result.as_twin), "");
  if (s.stations > 1) return;   // the twin does not say whose step it prices
  const LogCost cost(live.logs.front());
  EXPECT_EQ(difference(run_twin(s, {}, &cost), live.result.as_twin), "");
}

TEST_P(LiveScenario, HappensAsWrittenAtTheScenariosOwnTimes) {
  for (const bool experts : {false, true}) {
    const LiveRun live(GetParam(), cpu_device(experts), true);
    ASSERT_FALSE(GetParam().expectations.empty());
    EXPECT_EQ(failures(GetParam(), live.result.as_twin), "");
    EXPECT_EQ(difference(run_twin(GetParam()), live.result.as_twin), "");
  }
}

/// Chunked, preempted and recomputed, swapped, shared, in any company: the model chooses the same tokens.
TEST_P(LiveScenario, TheModelSaysTheSameAsWhenEachRequestIsAlone) {
  Scenario together = GetParam();
  for (RequestSpec& r : together.requests) r.request.cancel_after = Duration::max();
  Scenario alone = together;
  alone.policies = {{"batching", "orca"}, {"kv", "paged"}};
  alone.parameters = {{"max_running", "1"}};
  alone.engine.kv_blocks = Blocks{500};
  alone.engine.prefix = TwinPrefix::kNone;
  alone.engine.block_tokens = Tokens{16};
  alone.stations = 1;
  for (const bool experts : {false, true}) {
    const LiveRun quiet(alone, cpu_device(experts), true), busy(together, cpu_device(experts), true);
    EXPECT_EQ(quiet.outputs, busy.outputs);
    EXPECT_NE(quiet.outputs, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, LiveScenario, testing::ValuesIn(live_scenarios()), [](const auto& s) {
  std::string name = s.param.policies.at("batching") + "_" + std::to_string(s.index);
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

/// Hides the first operation of a kind from the executor.
class Forgetful final : public Executor {
 public:
  Forgetful(Executor& inner, KvOp::Kind kind) : inner_(&inner), kind_(kind) {}
  StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                const StationView& station) override {
    std::vector<KvOp> left(journal.begin(), journal.end());
    const auto found = std::find_if(left.begin(), left.end(), [&](const KvOp& op) { return op.kind == kind_; });
    if (!forgot && found != left.end()) {
      left.erase(found);
      forgot = true;
    }
    inner_->begin(plan, shape, left, station);
    StepRun run;
    run.first = std::chrono::milliseconds(1);
    return run;
  }
  bool wants_journal() const override { return true; }
  void bind(const PromptPaths& paths) override { inner_->bind(paths); }
  bool forgot = false;

 private:
  Executor* inner_;
  KvOp::Kind kind_;
};

TEST(LiveExecutor, StopsWhenTheJournalLacksAnything) {
  int lacked = 0;
  for (const Scenario& s : live_scenarios()) {
    for (const KvOp::Kind kind :
         {KvOp::kAlloc, KvOp::kAdopt, KvOp::kPublish, KvOp::kEvict, KvOp::kSwapOut, KvOp::kSwapIn, KvOp::kFree}) {
      std::vector<std::unique_ptr<LiveExecutor>> live;
      std::vector<std::unique_ptr<Forgetful>> around;
      const EngineOptions options{.executor = [&](std::size_t, const KvConfig& kv) {
        live.push_back(std::make_unique<LiveExecutor>(ghost_device(), kv));
        return around.emplace_back(std::make_unique<Forgetful>(*live.back(), kind)).get();
      }};
      std::string what;
      try {
        run_engine(s, options);
      } catch (const EngineError& e) { what = e.what(); }
      const bool forgot = std::any_of(around.begin(), around.end(), [](const auto& f) { return f->forgot; });
      EXPECT_EQ(what.empty(), !forgot) << s.title << ", kind " << kind;
      lacked += forgot;
    }
  }
  EXPECT_GT(lacked, 25);
}

bool has_padding(const Scenario& s) {
  const std::string& batching = s.policies.at("batching");
  return batching == "static" || batching == "sequence-scheduling";
}

/// Block tables that move by the journal alone have the ledger's free blocks at every step (LiveExecutor checks it),
/// whatever the policies do; and an executor that steps decides as the engine does that skips.
TEST(LiveExecutor, KeepsTheLedgersBooksInRandomScenarios) {
  int ran = 0, swaps = 0, cached = 0, recomputed = 0, contiguous = 0, cancelled = 0;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    Scenario s = random_scenario(5, i);
    s.engine.host_prefix = Blocks{};   // live executors keep no prefixes in host memory
    if (has_padding(s) || s.cost.stages > 1) continue;
    const LiveRun live(s, ghost_device(), true);
    const EngineResult model = run_engine(s, {});
    ASSERT_EQ(difference(model.as_twin, live.result.as_twin), "") << to_text(s);
    ++ran;
    swaps += model.as_twin.sums.swaps > 0;
    cached += model.as_twin.sums.cached > 0;
    recomputed += model.as_twin.sums.recomputed > 0;
    contiguous += ScenarioPolicies(s).kv->contiguous();
    for (const TwinRow& r : model.as_twin.rows) cancelled += r.status == TwinStatus::kCancelled;
  }
  EXPECT_GT(ran, 1000);
  for (const int seen : {swaps, cached, recomputed, contiguous, cancelled}) EXPECT_GT(seen, 50);
}

}  // namespace
}  // namespace orrery
