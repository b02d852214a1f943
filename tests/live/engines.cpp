#include "tests/live/engines.hpp"

#include "calibrate/live/cpu_device.hpp"
#include "tests/source_dir.hpp"

namespace orrery {
namespace {

/// Runs the step on the live executor, then says what the scenario's cost says.
class PricedExecutor final : public Executor {
 public:
  PricedExecutor(LiveExecutor& live, const CostModel& cost) : live_(&live), cost_(&cost) {}
  StepRun begin(const BatchPlan& plan, const StepShape& shape, std::span<const KvOp> journal,
                const StationView& station) override {
    live_->begin(plan, shape, journal, station);
    StepRun run = cost_->price({&shape, 1}, 0);
    run.valid = 1;
    run.step = {};
    run.e_step = {};
    return run;
  }
  bool wants_journal() const override { return true; }
  void bind(const PromptPaths& paths) override { live_->bind(paths); }

 private:
  LiveExecutor* live_;
  const CostModel* cost_;
};

class GhostReplica final : public LiveReplica {
 public:
  double seconds() override { return 0; }
  void copy(std::span<const SwapCopy>, std::int32_t) override {}
  std::span<const std::int32_t> run(std::span<const Work> work) override {
    next_.assign(work.size(), 0);
    return next_;
  }

 private:
  std::vector<std::int32_t> next_;
};

class GhostDevice final : public LiveDevice {
 public:
  std::unique_ptr<LiveReplica> replica(const Kv&) const override { return std::make_unique<GhostReplica>(); }
  std::string name() const override { return "ghost"; }
  std::string clock() const override { return "none"; }
  std::int32_t vocabulary() const override { return 1000; }
};

LiveModel small_model(bool experts) {
  LiveModel m;
  m.name = "small";
  m.shape = {.layers = 2, .hidden = 64, .heads = 4, .kv_heads = 2, .head_dim = 16, .ffn = 96, .vocab = 256};
  if (experts) m.shape.experts = 4, m.shape.top_k = 2;
  return m;
}

}  // namespace

LiveRun::LiveRun(const Scenario& scenario, const LiveDevice& device, bool priced) {
  std::vector<std::unique_ptr<LiveExecutor>> live;
  std::vector<std::unique_ptr<Executor>> around;
  const ScenarioCost cost(scenario.cost);
  logs.resize(static_cast<std::size_t>(scenario.stations));
  EngineOptions options;
  options.executor = [&](std::size_t station, const KvConfig& kv) -> Executor* {
    live.push_back(std::make_unique<LiveExecutor>(device, kv));
    if (priced) around.push_back(std::make_unique<PricedExecutor>(*live.back(), cost));
    else around.push_back(std::make_unique<RecordingExecutor>(*live.back(), logs[station]));
    return around.back().get();
  };
  result = run_engine(scenario, options);
  for (const auto& l : live) outputs += l->outputs();
}

EngineResult replayed(const Scenario& scenario, const std::vector<StepLog>& logs) {
  std::vector<std::unique_ptr<Executor>> replays;
  EngineOptions options;
  options.executor = [&](std::size_t station, const KvConfig&) {
    return replays.emplace_back(std::make_unique<ReplayExecutor>(logs[station])).get();
  };
  return run_engine(scenario, options);
}

const LiveDevice& cpu_device(bool experts) {
  static const auto dense = make_cpu_device(small_model(false), {});
  static const auto mixture = make_cpu_device(small_model(true), {});
  return experts ? *mixture : *dense;
}

const LiveDevice& ghost_device() {
  static const GhostDevice ghost;
  return ghost;
}

std::vector<Scenario> live_scenarios() { return read_scenarios(source_dir("/tests/live/engine.txt")); }

}  // namespace orrery
